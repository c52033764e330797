#include "policy/position_policy.h"

#include <algorithm>

#include "kvevict/error.h"
#include "kvevict/simple_evict.h"

namespace kvevict {

PositionPolicy::PositionPolicy(StrategySpec spec, int version) : spec_(std::move(spec)), version_(version) {}

void FrozenMiddle::trim(std::int64_t n_tokens, const KeepPlan& /*held*/) {
  if (!tokens) return;
  tokens = tokens->intersect(KeepSet::all(n_tokens));
  if (tokens->empty()) tokens.reset();
}

std::unique_ptr<PolicyMemory> PositionPolicy::load_memory(std::string_view text,
                                                          std::int64_t /*n_layers*/) const {
  if (text == "none") return std::make_unique<FrozenMiddle>();
  const KeepPlan plan = keep_plan_from_text(text);
  if (!plan.is_shared())
    throw Error(ErrorCode::kBadData, "the saved middle of " + spec_.name + " differs by layer");
  return std::make_unique<FrozenMiddle>(plan.layer(0));
}

std::string PositionPolicy::versioned_name() const {
  return spec_.name + "/" + std::to_string(version_);
}

KeepPlan PositionPolicy::plan(std::int64_t n_tokens_seen, PolicyState& state) const {
  if (state.schedule == Schedule::kStreaming) {
    return KeepPlan(build_ruler_keep_token_idx(n_tokens_seen, spec_.block_n, spec_.config));
  }
  const std::int64_t sink_end = std::min(spec_.config.sink_tokens, n_tokens_seen);
  const std::int64_t recent_begin = std::max(sink_end, n_tokens_seen - spec_.config.recent_tokens);
  FrozenMiddle& middle = memory_in<FrozenMiddle>(state);
  if (middle.tokens) {
    const KeepSet ends = KeepSet::from_ranges({{0, sink_end}, {recent_begin, n_tokens_seen}});
    return KeepPlan(ends.unite(*middle.tokens));
  }
  // whole blocks alone would drop pieces of a cache within its budget, which is left alone
  if (spec_.config.spacing == kSpacingEnds && n_tokens_seen <= budget_tokens(state))
    return KeepPlan(KeepSet::all(n_tokens_seen));
  KeepSet kept = build_simple_keep_token_idx(n_tokens_seen, spec_.block_n, spec_.config);
  if (kept.count() < n_tokens_seen) {
    middle.tokens = kept.intersect(KeepSet::from_ranges({{sink_end, recent_begin}}));
  }
  return KeepPlan(std::move(kept));
}

std::optional<std::int64_t> PositionPolicy::budget_tokens(const PolicyState& state) const {
  const SimpleEvictConfig& config = spec_.config;
  const std::int64_t ends = config.sink_tokens + config.recent_tokens;
  const auto* const middle = dynamic_cast<const FrozenMiddle*>(state.memory.get());
  if (middle != nullptr && middle->tokens) return ends + middle->tokens->count();
  if (state.schedule == Schedule::kStreaming) require_ruler_order(config);
  const bool by_budget = config.middle_strategy == "uniform" && config.uniform_stride == 0;
  if (!by_budget || config.middle_budget_tokens == 0) return ends;
  const std::int64_t least =
      config.spacing == kSpacingEnds ? spec_.block_n : 0;  // it keeps whole blocks alone
  return ends + std::max(config.middle_budget_tokens, least);
}

}  // namespace kvevict
