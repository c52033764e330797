#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/keep_set.h"
#include "kvevict/modes.h"
#include "kvevict/strategy_spec.h"

namespace kvevict {

/// Which original tokens stay: one set for all layers, or one per layer.
class KeepPlan {
 public:
  /// The same set in every layer.
  explicit KeepPlan(KeepSet shared) { layers_.push_back(std::move(shared)); }

  [[nodiscard]] bool is_shared() const noexcept { return layers_.size() == 1; }
  [[nodiscard]] const KeepSet& layer(std::size_t index) const { return layers_[is_shared() ? 0 : index]; }

 private:
  std::vector<KeepSet> layers_;
};

/// How a policy chooses the middle while more tokens come.
enum class Schedule {
  kOneShot,    ///< Evenly spread when first evicted, then frozen for every later token.
  kStreaming,  ///< Ruler order (`ruler_order.h`): covers the whole history however long it gets.
};

/// What a policy remembers between the plans for one sequence. Owned by the caller, one for each
/// sequence; a fresh one for a fresh cache. Policies themselves are const and may be shared.
struct PolicyState {
  /// Set before the first plan, not changed after it.
  Schedule schedule = Schedule::kOneShot;
  /// One-shot: middle tokens chosen when the cache was first evicted, frozen from then on.
  std::optional<KeepSet> frozen_middle;
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
  /// `n_tokens_seen` alone. Throws `Error(kInvalidArgument)` for a stride in a stream.
  [[nodiscard]] virtual KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const = 0;

  /// Tokens per layer that the cache may hold before a plan must be made; nothing where the
  /// policy never evicts. Depends on `state`: a stride has no bound until its middle is frozen.
  /// Throws as `plan` does.
  [[nodiscard]] virtual std::optional<std::int64_t> budget_tokens(const PolicyState& state) const = 0;

  /// The positions that the method is defined by, where it is (StreamingLLM: packed).
  [[nodiscard]] virtual std::optional<PositionMode> required_positions() const noexcept {
    return std::nullopt;
  }
};

/// A row of the registry: what a strategy is called, what it reads and how it is made.
struct PolicyInfo {
  std::string_view name;
  std::string_view summary;  ///< One line for listings.
  bool uses_sink_and_recent = false;
  bool uses_middle = false;  ///< middle budget, stride and block size.
  SimpleEvictConfig defaults;
  std::unique_ptr<const Policy> (*make)(const StrategySpec& spec) = nullptr;
};

/// All policies, in the order in which they are listed.
[[nodiscard]] std::span<const PolicyInfo> all_policies();

/// The row named `name`. Throws `Error(kInvalidArgument)` that lists the known names.
[[nodiscard]] const PolicyInfo& policy_info(std::string_view name);

/// Makes the policy that `spec` names. Throws `Error(kInvalidArgument)` where a value of `spec`
/// is out of its range.
[[nodiscard]] std::unique_ptr<const Policy> make_policy(const StrategySpec& spec);

}  // namespace kvevict
