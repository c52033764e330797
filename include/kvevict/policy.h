#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/keep_plan.h"
#include "kvevict/modes.h"
#include "kvevict/strategy_spec.h"
#include "kvevict/token_scores.h"

namespace kvevict {

/// How a policy chooses the middle while more tokens come.
enum class Schedule {
  kOneShot,    ///< Evenly spread when first evicted, then frozen for every later token.
  kStreaming,  ///< Ruler order (`ruler_order.h`): covers the whole history however long it gets.
};

/// What the ladder has kept: the plan for `n_tokens_seen` tokens, and the row (a kept token's place among
/// those that its layer keeps) at which the next thinning begins.
struct LadderRows {
  KeepPlan kept;
  std::int64_t n_tokens_seen = 0;
  std::int64_t cursor = 0;
};

/// What a policy remembers between the plans for one sequence. Owned by the caller, one for each
/// sequence; a fresh one for a fresh cache. Policies themselves are const and may be shared.
struct PolicyState {
  /// Set before the first plan, not changed after it.
  Schedule schedule = Schedule::kOneShot;
  /// Layers of the model: for policies with a keep set for each layer. Set before the first plan.
  std::int64_t n_layers = 0;
  /// One-shot: middle tokens chosen when the cache was first evicted, frozen from then on.
  std::optional<KeepSet> frozen_middle{};
  /// Ladder: the rows of the last plan, and where the next thinning begins.
  std::optional<LadderRows> ladder{};
  /// Attention so far, for a policy that asks for it: set by the engine before each plan, not owned.
  const TokenScores* scores = nullptr;
};

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

  /// The tokens to keep once `n_tokens_seen` >= 0 tokens have been seen in all. One-shot: freezes
  /// the middle in `state` when it is the first plan to drop a token. Streaming: depends on
  /// `n_tokens_seen` alone. The ladder: on the plans before it, too, under either schedule. Throws
  /// `Error(kInvalidArgument)` for a stride in a stream, where `state` lacks the scores or the number of
  /// layers that the policy needs, and where the number of layers is not the one of the strategy.
  [[nodiscard]] virtual KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const = 0;

  /// Tokens per layer that the cache may hold before a plan must be made; nothing where the
  /// policy never evicts. Depends on `state`: a stride has no bound until its middle is frozen.
  /// Throws as `plan` does.
  [[nodiscard]] virtual std::optional<std::int64_t> budget_tokens(const PolicyState& state) const = 0;

  /// The positions that the method is defined by, where it is (StreamingLLM: packed).
  [[nodiscard]] virtual std::optional<PositionMode> required_positions() const noexcept {
    return std::nullopt;
  }

  /// The attention scores that `plan` needs; nothing for a policy that chooses by position.
  [[nodiscard]] virtual std::optional<ScoreRequest> score_request() const noexcept { return std::nullopt; }

  /// Whether plans differ by layer: `PolicyState::n_layers` is then needed.
  [[nodiscard]] virtual bool is_per_layer() const noexcept { return false; }
};

/// A row of the registry: what a strategy is called, what it reads and how it is made.
struct PolicyInfo {
  std::string_view name;
  std::string_view summary;            ///< One line for listings.
  std::vector<std::string_view> keys;  ///< The values that it uses, by their names in the grammar.
  SimpleEvictConfig defaults;
  std::unique_ptr<const Policy> (*make)(const StrategySpec& spec) = nullptr;

  /// Whether it uses the value that the grammar calls `key`.
  [[nodiscard]] bool uses(std::string_view key) const {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  }
};

/// All policies, in the order in which they are listed.
[[nodiscard]] std::span<const PolicyInfo> all_policies();

/// The row named `name`. Throws `Error(kInvalidArgument)` that lists the known names.
[[nodiscard]] const PolicyInfo& policy_info(std::string_view name);

/// Makes the policy that `spec` names. Throws `Error(kInvalidArgument)` where a value of `spec`
/// is out of its range.
[[nodiscard]] std::unique_ptr<const Policy> make_policy(const StrategySpec& spec);

}  // namespace kvevict
