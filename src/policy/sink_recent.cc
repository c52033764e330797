#include "policy/sink_recent.h"

#include "policy/position_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_sink_recent(const StrategySpec& spec) {
  return std::make_unique<PositionPolicy>(spec, 1);
}

std::vector<StrategySpec> sink_recent_shapes(std::int64_t n_tokens) {
  std::vector<StrategySpec> shapes;
  for (const std::int64_t sink : {std::int64_t{4}, std::int64_t{64}}) {
    if (n_tokens - sink < 2) continue;
    StrategySpec spec = parse_strategy("sink_recent");
    spec.config.sink_tokens = sink;
    spec.config.recent_tokens = n_tokens - sink;
    shapes.push_back(spec);
  }
  return shapes;
}

}  // namespace kvevict
