#include "kvevict/keep_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {

KeepPlan::KeepPlan(std::vector<KeepSet> sets, std::vector<std::size_t> set_of_layer)
    : sets_(std::move(sets)), set_of_layer_(std::move(set_of_layer)) {
  const auto is_missing = [&](std::size_t number) { return number >= sets_.size(); };
  if (set_of_layer_.empty() || std::any_of(set_of_layer_.begin(), set_of_layer_.end(), is_missing)) {
    throw Error(ErrorCode::kInvalidArgument, "a plan of " + std::to_string(sets_.size()) + " keep sets for " +
                                                 std::to_string(set_of_layer_.size()) +
                                                 " layers: each layer must name one of the sets");
  }
}

void KeepPlan::require_layers(std::size_t n_layers) const {
  if (is_shared() || this->n_layers() == n_layers) return;
  throw Error(ErrorCode::kInvalidArgument, "the plan has keep sets for " + std::to_string(this->n_layers()) +
                                               " layers and the cache has " + std::to_string(n_layers) +
                                               ": the same number is needed");
}

std::vector<KeepSet> KeepPlan::by_layer() const {
  if (is_shared()) return sets_;
  std::vector<KeepSet> layers;
  for (const std::size_t number : set_of_layer_) layers.push_back(sets_[number]);
  return layers;
}

std::int64_t KeepPlan::count() const noexcept {
  std::int64_t most = 0;
  for (const KeepSet& set : sets_) most = std::max(most, set.count());
  return most;
}

KeepSet KeepPlan::in_any_layer() const {
  KeepSet all = sets_.front();
  for (std::size_t i = 1; i < sets_.size(); ++i) all = all.unite(sets_[i]);
  return all;
}

template <typename Combine>
KeepPlan KeepPlan::combined(const KeepPlan& other, Combine combine) const {
  if (is_shared() && other.is_shared()) return KeepPlan(combine(sets_.front(), other.sets_.front()));
  if (!is_shared()) other.require_layers(n_layers());
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> number_of;
  std::vector<KeepSet> sets;
  std::vector<std::size_t> set_of_layer;
  for (std::size_t l = 0; l < std::max(n_layers(), other.n_layers()); ++l) {
    const auto [place, is_new] = number_of.try_emplace({set_number(l), other.set_number(l)}, sets.size());
    if (is_new) sets.push_back(combine(layer(l), other.layer(l)));
    set_of_layer.push_back(place->second);
  }
  return {std::move(sets), std::move(set_of_layer)};
}

KeepPlan KeepPlan::intersect(const KeepPlan& other) const {
  return combined(other, [](const KeepSet& a, const KeepSet& b) { return a.intersect(b); });
}

KeepPlan KeepPlan::merge_with_history(const KeepPlan& wanted, std::int64_t n_tokens_cached) const {
  return combined(wanted, [&](const KeepSet& history, const KeepSet& set) {
    return history.merge_with_history(set, n_tokens_cached);
  });
}

void KeepPlan::append(std::int64_t begin, std::int64_t end) {
  for (KeepSet& set : sets_) set.append(begin, end);
}

}  // namespace kvevict
