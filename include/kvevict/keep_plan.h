#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/keep_set.h"

namespace KVEVICT_PUBLIC kvevict {

/// Which original tokens stay: one set for all layers, or one for each. Layers with the same set
/// share one copy of it.
///
/// A value type. Const members may be called from several threads.
class KeepPlan {
 public:
  /// Nothing, in every layer.
  KeepPlan() : sets_(1) {}

  /// The same set in every layer.
  explicit KeepPlan(KeepSet shared) { sets_.push_back(std::move(shared)); }

  /// Layer l keeps `sets[set_of_layer[l]]`. Throws `Error(kInvalidArgument)` if a layer names a
  /// set that is not there, or if there are no layers.
  KeepPlan(std::vector<KeepSet> sets, std::vector<std::size_t> set_of_layer);

  [[nodiscard]] bool is_shared() const noexcept { return set_of_layer_.empty(); }

  /// Number of layers that have a set of their own; 0 for a shared set, which fits any number.
  [[nodiscard]] std::size_t n_layers() const noexcept { return set_of_layer_.size(); }

  /// Throws `Error(kInvalidArgument)` for a plan of another number of layers than `n_layers`.
  void require_layers(std::size_t n_layers) const;

  /// The set of layer `index`: below `n_layers()`, anything for a shared set.
  [[nodiscard]] const KeepSet& layer(std::size_t index) const& { return sets_[set_number(index)]; }
  [[nodiscard]] KeepSet layer(std::size_t index) && { return std::move(sets_[set_number(index)]); }

  /// A copy of the set of each layer; of the one set if it is shared.
  [[nodiscard]] std::vector<KeepSet> by_layer() const;

  /// The sets that differ, and which of them a layer has.
  [[nodiscard]] std::span<const KeepSet> distinct_sets() const noexcept { return sets_; }
  [[nodiscard]] std::size_t set_number(std::size_t layer) const {
    return is_shared() ? 0 : set_of_layer_[layer];
  }

  /// Most tokens that a layer keeps.
  [[nodiscard]] std::int64_t count() const noexcept;

  /// Tokens that any layer keeps.
  [[nodiscard]] KeepSet in_any_layer() const;

  /// Layer by layer the tokens in both; shared if both are. Throws `Error(kInvalidArgument)` for
  /// plans of different numbers of layers.
  [[nodiscard]] KeepPlan intersect(const KeepPlan& other) const;

  /// Layer by layer `KeepSet::merge_with_history`, of this plan as the history. Throws as `intersect`.
  [[nodiscard]] KeepPlan merge_with_history(const KeepPlan& wanted, std::int64_t n_tokens_cached) const;

  /// Adds `[begin, end)` to every layer, as `KeepSet::append`.
  void append(std::int64_t begin, std::int64_t end);

  friend bool operator==(const KeepPlan&, const KeepPlan&) = default;

 private:
  template <typename Combine>
  [[nodiscard]] KeepPlan combined(const KeepPlan& other, Combine combine) const;

  std::vector<KeepSet> sets_;
  std::vector<std::size_t> set_of_layer_;  // empty: one set for all
};

/// A plan as text: "0-256,640-768" for one set; "0-4|0-2,6-8@0,1,1" for two sets and the set of each layer.
[[nodiscard]] std::string to_text(const KeepPlan& plan);

/// Reads what `to_text` wrote. Throws `Error(kBadData)` for anything else.
[[nodiscard]] KeepPlan keep_plan_from_text(std::string_view text);

}  // namespace kvevict
