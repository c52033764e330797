#include "policy/position_policy.h"

#include <algorithm>

#include "kvevict/ruler_order.h"

namespace kvevict {

PositionPolicy::PositionPolicy(StrategySpec spec, int version) : spec_(std::move(spec)), version_(version) {}

std::string PositionPolicy::versioned_name() const {
  return spec_.name + "/" + std::to_string(version_);
}

KeepPlan PositionPolicy::plan(std::int64_t n_tokens_seen, PolicyState& state) const {
  if (state.schedule == Schedule::kStreaming) {
    return KeepPlan(build_ruler_keep_token_idx(n_tokens_seen, spec_.block_n, spec_.config));
  }
  const std::int64_t sink_end = std::min(spec_.config.sink_tokens, n_tokens_seen);
  const std::int64_t recent_begin = std::max(sink_end, n_tokens_seen - spec_.config.recent_tokens);
  if (state.frozen_middle) {
    const KeepSet ends = KeepSet::from_ranges({{0, sink_end}, {recent_begin, n_tokens_seen}});
    return KeepPlan(ends.unite(*state.frozen_middle));
  }
  KeepSet kept = build_simple_keep_token_idx(n_tokens_seen, spec_.block_n, spec_.config);
  if (kept.count() < n_tokens_seen) {
    state.frozen_middle = kept.intersect(KeepSet::from_ranges({{sink_end, recent_begin}}));
  }
  return KeepPlan(std::move(kept));
}

std::optional<std::int64_t> PositionPolicy::budget_tokens(const PolicyState& state) const {
  const SimpleEvictConfig& config = spec_.config;
  const std::int64_t ends = config.sink_tokens + config.recent_tokens;
  if (state.frozen_middle) return ends + state.frozen_middle->count();
  if (state.schedule == Schedule::kStreaming) require_ruler_order(config);
  const bool by_budget = config.middle_strategy == "uniform" && config.uniform_stride == 0;
  return ends + (by_budget ? config.middle_budget_tokens : 0);
}

}  // namespace kvevict
