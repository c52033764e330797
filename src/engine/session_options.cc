#include "kvevict/session_options.h"

#include <ggml.h>

#include <algorithm>
#include <string>

#include "engine/cells.h"
#include "engine/fitting.h"
#include "engine/model_traits.h"
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

/// ggml keeps what it knows of its threads in an array of so many.
constexpr int kMaxThreads = GGML_MAX_N_THREADS;

void require_threads(const char* option, int n) {
  if (n >= 0 && n <= kMaxThreads) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(option) + " is " + std::to_string(n) + ": " +
                  (n < 0 ? "0 (automatic) or more" : std::to_string(kMaxThreads) + " or less") + " is needed",
              option);
}

void require_sound(const SessionOptions& options) {
  constexpr int kMost = 1 << 30;
  require_in_range("batch", options.n_batch, 1, kMost);
  require_in_range("ubatch", options.n_ubatch, 1, kMost);
  require_in_range("chunk", options.n_chunk, 1, kMost);
  require_in_range("decode_slack", options.n_decode_slack, 1, kMost);
  require_in_range("n_sequences", options.n_sequences, 1, kMaxSequences);
  require_in_range("n_recorded_queries", options.n_recorded_queries, 0, kMost);
  require_threads("threads", options.n_threads);
  require_threads("threads_batch", options.n_threads_batch);
}

bool is_quantised(KvType type) {
  return type == KvType::kQ8_0 || type == KvType::kQ4_0;
}

/// A policy that chooses by attention sees it in a context of its own; that of every query only without flash
/// attention.
void turn_attention_on(const Policy& policy, SessionOptions& options) {
  const bool is_of_every_query = policy.score_request()->n_last_queries == 0;
  if (is_of_every_query && options.flash_attention == FlashAttention::kOn) {
    throw Error(ErrorCode::kInvalidArgument,
                policy.spec().name +
                    " chooses by the attention of every query, which flash attention never writes down: turn "
                    "flash attention off, or leave it to be chosen (auto)",
                "flash_attention");
  }
  if (options.n_sequences != 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "n_sequences is " + std::to_string(options.n_sequences) +
                    ": a session that records attention has its context alone",
                "n_sequences");
  }
  if (is_of_every_query) options.flash_attention = FlashAttention::kOff;
}

/// Keys that llama.cpp cannot shift are rotated here, which ggml does for two types alone.
bool can_move_positions(const Model& model, const SessionOptions& options) {
  const bool is_rotatable = options.type_k == KvType::kF32 || options.type_k == KvType::kF16;
  return model.info().can_shift_positions && (is_rotatable || !moves_by_rows(model.handle()));
}

PositionMode chosen_positions(const Model& model, const Policy& policy, const SessionOptions& options) {
  if (policy.required_positions()) return *policy.required_positions();
  if (options.positions) return *options.positions;
  // Automatic positions are the better default of a stream, but a default never fails.
  const bool can_pack = options.prefill == PrefillMode::kBounded && can_move_positions(model, options);
  return can_pack ? PositionMode::kAuto : PositionMode::kAbsolute;
}

}  // namespace

std::string slow_kv_types(const Model& model, const SessionOptions& options) {
  if (model.info().n_gpu_layers > 0 || options.flash_attention == FlashAttention::kOff) return {};
  // ggml's flash attention on the CPU computes tiles of rows if K and V are both f32 or both f16, else row by
  // row
  const bool is_tiled =
      options.type_k == options.type_v && (options.type_k == KvType::kF32 || options.type_k == KvType::kF16);
  if (is_tiled) return {};
  const std::string types = options.type_k == options.type_v
                                ? "K and V of type " + std::string(to_string(options.type_k))
                                : "K of type " + std::string(to_string(options.type_k)) + " and V of type " +
                                      std::string(to_string(options.type_v));
  return types + " make a prefill with flash attention two to three times as slow on a CPU as f16: use f16" +
         (is_quantised(options.type_v) ? " where memory allows" : ", or turn flash attention off");
}

SessionOptions resolved_options(const Model& model, const Policy& policy, SessionOptions options) {
  require_sound(options);
  options.n_ubatch = std::min(options.n_ubatch, options.n_batch);
  const bool is_named = options.positions.has_value();
  options.positions = chosen_positions(model, policy, options);
  // A default never refuses a model: where positions cannot move, a stream goes on with absolute ones.
  if (!is_named && options.prefill == PrefillMode::kBounded && !can_move_positions(model, options))
    options.past_trained_context = true;
  if (policy.score_request()) turn_attention_on(policy, options);
  if (is_quantised(options.type_v) && options.flash_attention == FlashAttention::kOff) {
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
