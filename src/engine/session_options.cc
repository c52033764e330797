#include "kvevict/session_options.h"

#include <algorithm>
#include <string>

#include "engine/fitting.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_in_range(const char* option, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(option) + " is " + std::to_string(value) + ": " +
                  (value < least ? std::to_string(least) + " or more" : std::to_string(most) + " or less") +
                  " is needed",
              option);
}

void require_sound(const SessionOptions& options) {
  constexpr int kMost = 1 << 30;
  require_in_range("batch", options.n_batch, 1, kMost);
  require_in_range("ubatch", options.n_ubatch, 1, kMost);
  require_in_range("chunk", options.n_chunk, 1, kMost);
  require_in_range("decode_slack", options.n_decode_slack, 1, kMost);
  require_in_range("n_sequences", options.n_sequences, 1, kMaxSequences);
  if (options.n_threads < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "threads is " + std::to_string(options.n_threads) + ": 0 (automatic) or more is needed",
                "threads");
  }
}

/// A policy that chooses by attention sees it only without flash attention, and in a context of its own.
void turn_attention_on(const Policy& policy, SessionOptions& options) {
  if (options.flash_attention == FlashAttention::kOn) {
    throw Error(ErrorCode::kInvalidArgument,
                policy.spec().name +
                    " chooses by attention, which flash attention never writes down: turn flash "
                    "attention off, or leave it to be chosen (auto)",
                "flash_attention");
  }
  if (options.n_sequences != 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "n_sequences is " + std::to_string(options.n_sequences) +
                    ": a session that records attention has its context alone",
                "n_sequences");
  }
  options.flash_attention = FlashAttention::kOff;
}

PositionMode chosen_positions(const Model& model, const Policy& policy, const SessionOptions& options) {
  if (policy.required_positions()) return *policy.required_positions();
  if (options.positions) return *options.positions;
  // Automatic positions are the better default of a stream, but a default never fails.
  const bool can_pack = options.prefill == PrefillMode::kBounded && model.info().can_shift_positions;
  return can_pack ? PositionMode::kAuto : PositionMode::kAbsolute;
}

}  // namespace

SessionOptions resolved_options(const Model& model, const Policy& policy, SessionOptions options) {
  require_sound(options);
  options.n_ubatch = std::min(options.n_ubatch, options.n_batch);
  options.positions = chosen_positions(model, policy, options);
  if (policy.score_request()) turn_attention_on(policy, options);
  const bool is_v_quantised = options.type_v == KvType::kQ8_0 || options.type_v == KvType::kQ4_0;
  if (is_v_quantised && options.flash_attention == FlashAttention::kOff) {
    throw Error(ErrorCode::kUnsupported,
                "a V cache of type " + std::string(to_string(options.type_v)) +
                    " needs flash attention: leave it on" +
                    (policy.score_request() ? " with a strategy that goes by position" : "") +
                    ", or use f32, f16 or bf16 for V",
                "flash_attention");
  }
  require_fitting(model.handle(), model.info().name, policy, *options.positions);
  return options;
}

}  // namespace kvevict
