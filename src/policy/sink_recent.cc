#include "policy/sink_recent.h"

#include "policy/position_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_sink_recent(const StrategySpec& spec) {
  return std::make_unique<PositionPolicy>(spec, 1);
}

}  // namespace kvevict
