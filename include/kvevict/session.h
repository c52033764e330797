#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"
#include "kvevict/policy.h"
#include "kvevict/sampling.h"

namespace kvevict {

enum class FlashAttention { kAuto, kOn, kOff };

struct SessionOptions {
  FlashAttention flash_attention = FlashAttention::kAuto;
  KvType type_k = KvType::kF16;
  KvType type_v = KvType::kF16;  ///< A quantised V needs flash attention.
  int n_batch = 512;             ///< Most tokens handed to llama.cpp at once; >= 1.
  int n_ubatch = 512;            ///< Most tokens computed at once; >= 1, at most n_batch.
  int n_threads = 0;             ///< 0: the processors that this process may use.
  PositionMode positions = PositionMode::kAbsolute;
  /// Packed positions only: tokens by which the cache may outgrow its budget while decoding,
  /// so that the shift of all keys is paid once for so many tokens; >= 1.
  int n_decode_slack = 64;
  /// Polled between batches and inside llama.cpp's computation (CPU); true stops with kCancelled.
  const std::atomic<bool>* cancel = nullptr;
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
  KeepSet kept;  ///< Original indices that the plan keeps, upcoming ones included.
  std::int64_t n_removed = 0;
  double seconds_plan = 0;
  double seconds_move = 0;  ///< Removing, moving to the right-sized context, giving memory back.
};

struct GenerateOptions {
  std::int64_t max_new_tokens = 128;
  SamplingOptions sampling{};
  std::shared_ptr<const Policy> policy{};  ///< Evicts whenever the cache outgrows its budget; may be empty.
  bool stop_at_end_of_generation = true;
  /// Called with every new token and its text as it is made; false stops the generation.
  std::function<bool(Token, std::string_view)> on_token{};
};

struct Generation {
  std::vector<Token> tokens;  ///< Without the end-of-generation token.
  std::string text;
  bool reached_end = false;  ///< Whether the model itself ended.
};

/// Running figures of a session. Bytes are of K and V rows: llama.cpp's allocation.
struct SessionStats {
  std::int64_t n_tokens_seen = 0;
  std::int64_t n_tokens_held = 0;  ///< Tokens in the cache now, per layer.
  std::int64_t n_cells = 0;        ///< Cells allocated now (llama.cpp pads to 256).
  std::int64_t kv_bytes = 0;       ///< Allocated now.
  std::int64_t kv_bytes_peak = 0;  ///< Most at any time, copies in flight while cells move included.
  std::int64_t n_evictions = 0;
  std::int64_t n_decode_calls = 0;  ///< Calls of llama_decode.
};

/// One sequence of tokens in a llama.cpp context, whose cache can be evicted by position.
///
/// Owner: owns its context, shares the model. Thread safety: one thread at a time.
/// Errors leave the session as it was before the call, unless a member says otherwise.
class Session {
 public:
  /// Makes no context yet. Errors: kInvalidArgument (an option out of its range), kUnsupported
  /// (packed positions on a model whose positions cannot shift; a quantised V cache without flash
  /// attention).
  Session(std::shared_ptr<const Model> model, const SessionOptions& options);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Makes sure that `n_tokens` more tokens can be appended without the context being enlarged.
  /// Errors: kInvalidArgument where more tokens would be held than the trained context has,
  /// kOutOfMemory.
  void reserve(std::int64_t n_tokens);

  /// Decodes `tokens` behind what the session has seen and writes their K and V. O(tokens x held).
  /// Errors: those of `reserve`; kCancelled and kEngine: tokens of earlier batches of this call
  /// stay appended, the others are not.
  void append(std::span<const Token> tokens);

  /// Plans with `policy`, removes what the plan drops, and moves the kept cells into a context
  /// of the right size, so that the memory is given back and later tokens attend over the kept
  /// tokens only. The state of another policy is forgotten. A plan that drops nothing changes
  /// nothing. Peak: the old cells and a copy of the kept rows, then that copy and the new cells.
  /// llama.cpp wants a token's predecessor in the cache: where the plan drops it (recent_tokens 1,
  /// absolute positions), it stays until the next token has been written.
  EvictionReport evict(const Policy& policy, const EvictOptions& options = {});

  /// Samples from the logits of the last appended token and goes on from there. The last new
  /// token is returned but not appended. REQUIRES: something was appended.
  Generation generate(const GenerateOptions& options);

  /// Logits after the last appended token, `[n_vocab]` f32. Valid until the next call.
  [[nodiscard]] std::span<const float> logits() const;

  /// Original indices of the tokens in the cache.
  [[nodiscard]] const KeepSet& held() const noexcept;

  [[nodiscard]] SessionStats stats() const;
  [[nodiscard]] const Model& model() const noexcept;
  [[nodiscard]] const SessionOptions& options() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
