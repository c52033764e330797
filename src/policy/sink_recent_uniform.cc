#include "policy/sink_recent_uniform.h"

#include <algorithm>

#include "policy/position_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_sink_recent_uniform(const StrategySpec& spec) {
  return std::make_unique<PositionPolicy>(spec, 1);
}

std::vector<StrategySpec> sink_recent_uniform_shapes(std::int64_t n_tokens) {
  std::vector<StrategySpec> shapes;
  for (const std::int64_t sink : {std::int64_t{4}, std::int64_t{64}}) {
    const std::int64_t n_left = n_tokens - sink;
    if (n_left < 2) continue;
    for (const std::int64_t quarters : {1, 2, 3}) {
      StrategySpec spec = parse_strategy("sink_recent_uniform");
      spec.config.sink_tokens = sink;
      spec.config.middle_budget_tokens = n_left * quarters / 4 / spec.block_n * spec.block_n;
      spec.config.recent_tokens = n_left - spec.config.middle_budget_tokens;
      const bool is_new = std::find(shapes.begin(), shapes.end(), spec) == shapes.end();
      if (spec.config.middle_budget_tokens > 0 && is_new) shapes.push_back(spec);
    }
  }
  return shapes;
}

}  // namespace kvevict
