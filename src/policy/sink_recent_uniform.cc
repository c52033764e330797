#include "policy/sink_recent_uniform.h"

#include "policy/position_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_sink_recent_uniform(const StrategySpec& spec) {
  return std::make_unique<PositionPolicy>(spec, 1);
}

}  // namespace kvevict
