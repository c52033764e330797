#include "policy/streaming_llm.h"

#include "policy/position_policy.h"

namespace kvevict {
namespace {

class StreamingLlm final : public PositionPolicy {
 public:
  explicit StreamingLlm(const StrategySpec& spec) : PositionPolicy(spec, 1) {}

  [[nodiscard]] std::optional<PositionMode> required_positions() const noexcept override {
    return PositionMode::kPacked;
  }
};

}  // namespace

std::unique_ptr<const Policy> make_streaming_llm(const StrategySpec& spec) {
  return std::make_unique<StreamingLlm>(spec);
}

}  // namespace kvevict
