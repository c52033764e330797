#include "kvevict/session_options.h"

#include <algorithm>

#include "kvevict/bounded_schedule.h"
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

std::optional<std::int64_t> most_tokens_held(const Policy& policy, const SessionOptions& options,
                                             std::int64_t n_layers) {
  const PolicyState state{.schedule = Schedule::kStreaming, .n_layers = n_layers};
  const std::int64_t n_slack = decode_slack(policy, options.positions, options.n_decode_slack);
  return bounded_tokens(policy, state, std::max<std::int64_t>(options.n_chunk, n_slack));
}

}  // namespace kvevict
