#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kvevict/export.h"
#include "kvevict/keep_plan.h"
#include "kvevict/modes.h"
#include "kvevict/policy_state.h"
#include "kvevict/strategy_spec.h"

namespace KVEVICT_PUBLIC kvevict {

/// Decides which tokens stay; never touches memory.
///
/// Promises of every policy: plans are sorted and maximal; the newest token is always in; a
/// repeated call with the same arguments gives the same plan; within one PolicyState a later
/// plan never asks for a token that an earlier one dropped.
/// Thread safety: const, without hidden state; a PolicyState belongs to one thread at a time.
class Policy {
 public:
  virtual ~Policy() = default;

  /// Registry name and version of the rule ("sink_recent/1"): changes whenever results would.
  [[nodiscard]] virtual std::string versioned_name() const = 0;

  /// The strategy that this policy was made from.
  [[nodiscard]] virtual const StrategySpec& spec() const noexcept = 0;

  /// The tokens to keep once `n_tokens_seen` >= 0 tokens have been seen in all. Throws
  /// `Error(kInvalidArgument)` for a stride in a stream, if `state` lacks the scores, the keys or the number
  /// of layers that the policy needs, and if the number of layers is not the one of the strategy.
  [[nodiscard]] virtual KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const = 0;

  /// Tokens per layer that the cache may hold before a plan must be made; nothing for a policy without a
  /// bound: one that never evicts (`keeps_all`), or evicts only when it is asked (one-shot; a stream needs a
  /// bound). Depends on `state`: a stride has no bound until its middle is frozen. Throws as `plan` does.
  [[nodiscard]] virtual std::optional<std::int64_t> budget_tokens(const PolicyState& state) const = 0;

  /// Whether no plan ever drops a token.
  [[nodiscard]] virtual bool keeps_all() const noexcept { return false; }

  /// So many of the newest tokens are in every plan; 1 or more.
  [[nodiscard]] virtual std::int64_t n_newest_kept() const noexcept { return 1; }

  /// The positions that the method is defined by, if it is (StreamingLLM: packed).
  [[nodiscard]] virtual std::optional<PositionMode> required_positions() const noexcept {
    return std::nullopt;
  }

  /// The attention scores that `plan` needs; nothing for a policy that chooses by position.
  [[nodiscard]] virtual std::optional<ScoreRequest> score_request() const noexcept { return std::nullopt; }

  /// The keys that `plan` needs (`PolicyState::keys`); nothing for a policy that looks at none.
  [[nodiscard]] virtual std::optional<KeyRequest> key_request() const noexcept { return std::nullopt; }

  /// Whether a plan that drops tokens needs a cache to look into: attention or keys.
  [[nodiscard]] bool looks_into_cache() const noexcept { return score_request() || key_request(); }

  /// Whether plans differ by layer: `PolicyState::n_layers` is then needed.
  [[nodiscard]] virtual bool is_per_layer() const noexcept { return false; }

  /// Whether plans must differ by layer: not if it plans for all layers together where they may not
  /// (`PolicyState::layers_may_differ`).
  [[nodiscard]] virtual bool needs_layers_apart() const noexcept { return is_per_layer(); }

  /// The memory that `PolicyMemory::save` wrote, for a model of `n_layers` layers. Throws `Error(kBadData)`
  /// for a text that this policy cannot have written: any text, for a policy without a memory.
  [[nodiscard]] virtual std::unique_ptr<PolicyMemory> load_memory(std::string_view text,
                                                                  std::int64_t n_layers) const;
};

/// The policy that `spec` names. Throws `Error(kInvalidArgument)` if a value of `spec` is out of its range.
[[nodiscard]] std::shared_ptr<const Policy> make_policy(const StrategySpec& spec);

/// The policy that a text of the grammar names: "sink_recent:4:60". Throws as `parse_strategy` too.
[[nodiscard]] std::shared_ptr<const Policy> make_policy(std::string_view strategy);

}  // namespace kvevict
