#include "kvevict/session_options.h"

#include "kvevict/error.h"

namespace kvevict {

SessionOptions options_for(const Policy& policy, SessionOptions options) {
  options.positions = policy.required_positions().value_or(options.positions);
  options.scores = policy.score_request();
  if (!options.scores) return options;
  if (options.flash_attention == FlashAttention::kOn) {
    throw Error(ErrorCode::kInvalidArgument,
                policy.spec().name +
                    " chooses by attention, which flash attention never writes down: turn flash "
                    "attention off, or leave it to be chosen (auto)");
  }
  options.flash_attention = FlashAttention::kOff;
  return options;
}

}  // namespace kvevict
