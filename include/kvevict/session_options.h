#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"
#include "kvevict/modes.h"
#include "kvevict/policy.h"
#include "kvevict/sampling.h"

namespace kvevict {

enum class FlashAttention { kAuto, kOn, kOff };

/// Most sequences that one llama.cpp context takes.
inline constexpr int kMaxSequences = 256;

struct SessionOptions {
  FlashAttention flash_attention = FlashAttention::kAuto;
  KvType type_k = KvType::kF16;
  KvType type_v = KvType::kF16;  ///< A quantised V needs flash attention.
  int n_batch = 512;             ///< Most tokens handed to llama.cpp at once; >= 1.
  int n_ubatch = 512;            ///< Most tokens computed at once; >= 1, at most n_batch.
  int n_chunk = 512;             ///< Bounded appends: tokens between two evictions; >= 1.
  int n_threads = 0;             ///< 0: the processors that this process may use.
  int n_sequences = 1;           ///< Sessions that may share the context by `fork`; 1 … kMaxSequences.
  PositionMode positions = PositionMode::kAbsolute;
  /// Where evictions are dear (`decode_slack`: packed positions, plans for each layer, attention):
  /// tokens by which the cache may outgrow its budget while decoding, so that it is paid once; >= 1.
  int n_decode_slack = 64;
  /// The attention to record, for a policy that chooses by it (`options_for`). Needs flash attention
  /// off and n_sequences 1; costs time at every decode. Empty: nothing is recorded, nothing is paid.
  std::optional<ScoreRequest> scores{};
  /// Polled between batches and inside llama.cpp's computation (CPU); true stops with kCancelled.
  const std::atomic<bool>* cancel = nullptr;
};

/// `options` with what `policy` needs: its positions, and its scores with flash attention off.
/// Throws `Error(kInvalidArgument)` where it needs scores and flash attention is forced on.
[[nodiscard]] SessionOptions options_for(const Policy& policy, SessionOptions options);

/// Most tokens per layer that a session with `options`, a model of `n_layers` layers and bounded appends by
/// `policy` ever holds; nothing where the policy never evicts. Throws as `Policy::budget_tokens`.
[[nodiscard]] std::optional<std::int64_t> most_tokens_held(const Policy& policy,
                                                           const SessionOptions& options,
                                                           std::int64_t n_layers);

struct AppendOptions {
  /// Bounded append: the tokens go in by chunks of `n_chunk`, and before each chunk the policy
  /// evicts (`keep_before_chunk`), so that at most budget + chunk tokens are ever held. Empty: every
  /// token stays.
  std::shared_ptr<const Policy> policy{};
  /// Called in order with the original index of each token of the call and the natural logarithm
  /// of the probability that the model gave it after what the cache then held. Not called for
  /// a token that nothing was computed before: the first one of a session, or after `trim`.
  std::function<void(std::int64_t index, double log_probability)> on_log_probability{};
};

struct EvictOptions {
  /// Prompt tokens that will be appended right after the eviction and that the plan must already
  /// count (they are the newest ones: the plan keeps them).
  std::int64_t n_upcoming = 0;
  /// Tokens that are expected to be generated or appended after those: room is left for as many
  /// of them as the policy lets the cache hold.
  std::int64_t n_reserve = 0;
};

/// What an eviction did. Counts in tokens per layer, times in seconds.
struct EvictionReport {
  KeepPlan kept;  ///< Original indices that the plan keeps, upcoming ones included.
  std::int64_t n_removed = 0;
  double seconds_plan = 0;
  double seconds_move = 0;  ///< Removing, moving to the right-sized context, giving memory back.
};

struct GenerateOptions {
  std::int64_t max_new_tokens = 128;
  SamplingOptions sampling{};
  std::shared_ptr<const Policy> policy{};  ///< Evicts whenever the cache outgrows its budget; may be empty.
  bool stop_at_end_of_generation = true;
  /// Called with every new token and the text that it completes (whole UTF-8 characters; empty
  /// while one is unfinished); false stops the generation.
  std::function<bool(Token, std::string_view)> on_token{};
};

struct Generation {
  std::vector<Token> tokens;  ///< Without the end-of-generation token.
  std::string text;
  bool reached_end = false;  ///< Whether the model itself ended.
};

/// Running figures of a session. Bytes are of K and V rows: llama.cpp's allocation. Cells, bytes
/// and decode calls are those of the context, which forked sessions share.
struct SessionStats {
  std::int64_t n_tokens_seen = 0;
  std::int64_t n_tokens_held = 0;       ///< Tokens in the cache now, per layer.
  std::int64_t n_tokens_held_peak = 0;  ///< Most at any time.
  std::int64_t n_cells = 0;             ///< Cells allocated now (llama.cpp pads to 256).
  std::int64_t kv_bytes = 0;            ///< Allocated now.
  std::int64_t kv_bytes_peak = 0;       ///< Most at any time, copies in flight while cells move included.
  std::int64_t n_evictions = 0;         ///< Plans that dropped tokens.
  std::int64_t n_packs = 0;             ///< Times that positions were packed: shifts of all keys.
  std::int64_t n_decode_calls = 0;      ///< Calls of llama_decode.
  std::int64_t n_decoded_tokens = 0;    ///< Tokens in those calls.
};

}  // namespace kvevict
