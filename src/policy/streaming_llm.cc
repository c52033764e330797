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

std::vector<StrategySpec> streaming_llm_shapes(std::int64_t n_tokens) {
  StrategySpec spec = parse_strategy("streaming_llm");
  spec.config.recent_tokens = n_tokens - spec.config.sink_tokens;
  return {spec};
}

}  // namespace kvevict
