#include "policy/keydiff.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/error.h"
#include "policy/highest_ranked.h"
#include "policy/key_scores.h"
#include "policy/neighbour_scores.h"

namespace kvevict {
namespace {

class KeyDiff final : public Policy {
 public:
  explicit KeyDiff(StrategySpec spec) : spec_(std::move(spec)) {}

  [[nodiscard]] std::string versioned_name() const override { return "keydiff/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::optional<KeyRequest> key_request() const noexcept override {
    return KeyRequest{.is_rotated = spec_.rotated == 1};
  }
  [[nodiscard]] bool is_per_layer() const noexcept override { return spec_.per_layer != 0; }
  [[nodiscard]] bool needs_layers_apart() const noexcept override { return spec_.per_layer == 1; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return spec_.config.recent_tokens; }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& /*state*/) const override {
    return n_most();
  }
  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const override;

  [[nodiscard]] std::unique_ptr<PolicyMemory> load_memory(std::string_view text,
                                                          std::int64_t n_layers) const override {
    return NeighbourScores::load(text, is_per_layer() ? static_cast<std::size_t>(n_layers) : 1);
  }

 private:
  [[nodiscard]] std::int64_t n_most() const noexcept {
    return spec_.config.sink_tokens + spec_.config.recent_tokens + spec_.config.middle_budget_tokens;
  }
  [[nodiscard]] KeepSet choose(NeighbourScores& known, std::size_t list, const KeepSet& held,
                               const std::vector<float>& scores, TokenRange fresh, std::int64_t n) const;

  StrategySpec spec_;
};

KeepPlan KeyDiff::plan(std::int64_t n_tokens_seen, PolicyState& state) const {
  require_plannable(n_tokens_seen);
  if (state.keys == nullptr) {
    if (n_tokens_seen <= n_most()) return KeepPlan(KeepSet::all(n_tokens_seen));
    throw Error(ErrorCode::kInvalidArgument,
                "keydiff chooses by the cached keys, and there are none for its " +
                    std::to_string(n_tokens_seen) + " tokens");
  }
  CachedKeys& keys = *state.keys;
  const std::int64_t n_cached = std::min(keys.held().in_any_layer().end(), n_tokens_seen);
  const TokenRange fresh{n_cached, n_tokens_seen};
  KeepPlan all = keys.held().intersect(KeepPlan(KeepSet::all(n_cached)));
  const bool is_even = equal_count(all, {}, all.count()) == all.count();
  if (is_even && all.count() + fresh.count() <= n_most()) {
    all.append(fresh.begin, fresh.end);
    return all;
  }
  auto& known = memory_in<NeighbourScores>(state);
  const bool is_apart = needs_layers_apart() || (is_per_layer() && state.layers_may_differ);
  if (!is_apart && keys.held().is_shared()) {
    return KeepPlan(choose(known, 0, keys.held().layer(0), key_differences_of_all(keys), fresh, n_most()));
  }
  if (!is_apart) {
    throw Error(ErrorCode::kInvalidArgument,
                "keydiff chooses the same tokens for all layers, and this cache holds others in each: use it "
                "with per_layer=1, or from an empty cache on");
  }
  const std::int64_t n_each = equal_count(all, fresh, n_most());
  std::vector<KeepSet> sets;
  std::vector<std::size_t> set_of_layer;
  for (std::size_t l = 0; l < keys.n_layers(); ++l) {
    sets.push_back(choose(known, l, keys.held().layer(l), key_differences(keys.layer(l)), fresh, n_each));
    set_of_layer.push_back(l);
  }
  return {std::move(sets), std::move(set_of_layer)};
}

/// The `n` tokens that stay of `held` and `fresh`.
KeepSet KeyDiff::choose(NeighbourScores& known, std::size_t list, const KeepSet& held,
                        const std::vector<float>& scores, TokenRange fresh, std::int64_t n) const {
  std::vector<float> ranks = known.smoothed(list, held.to_indices(), scores, spec_.smooth / 2);
  const KeepSet cached = held.intersect(KeepSet::all(fresh.begin));
  ranks.resize(static_cast<std::size_t>(cached.count()));
  return highest_ranked(cached, std::move(ranks), fresh, spec_.config, n);
}

}  // namespace

std::unique_ptr<const Policy> make_keydiff(const StrategySpec& spec) {
  if (spec.config.middle_budget_tokens == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "keydiff is left no token to choose between a sink of " +
                    std::to_string(spec.config.sink_tokens) + " and a recent window of " +
                    std::to_string(spec.config.recent_tokens) +
                    ": a middle budget of 1 or more is needed, or the strategy sink_recent",
                "middle_budget");
  }
  return std::make_unique<KeyDiff>(spec);
}

}  // namespace kvevict
