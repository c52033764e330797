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

#include "kvevict/export.h"
#include "kvevict/grammar.h"
#include "kvevict/model.h"
#include "kvevict/modes.h"
#include "kvevict/policy.h"
#include "kvevict/sampling.h"
#include "kvevict/session_stats.h"
#include "kvevict/token_probability.h"

namespace KVEVICT_PUBLIC kvevict {

/// Original tokens that are held at consecutive positions: index `indices.begin + i` at
/// position `first_position + i`, in every layer.
struct HeldRun {
  TokenRange indices;
  std::int64_t first_position = 0;
  friend bool operator==(const HeldRun&, const HeldRun&) = default;
};

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
  /// Threads that decode a token at a time, and that compute batches. 0: one for each core that this process
  /// may use (affinity, control groups' quotas), fewer while other programs use processors, or
  /// $OMP_NUM_THREADS if that is set; for batches, as many as `n_threads` if that is given. The last bits of
  /// a result depend on the number of threads.
  int n_threads = 0;
  int n_threads_batch = 0;
  /// Newest queries whose attention is recorded for forks whose policies choose by it, though the session's
  /// own does not; 0: none, and such forks are refused.
  int n_recorded_queries = 0;
  int n_sequences = 1;  ///< Sessions that may share the context by `fork`; 1 … kMaxSequences.
  /// kFull: `append` holds every token until `evict` or `generate` drops some. kBounded: `append` evicts
  /// before each chunk, so that at most budget + chunk tokens are ever held.
  PrefillMode prefill = PrefillMode::kFull;
  /// Positions of kept tokens; a policy that is defined by its positions overrides them. Nothing: absolute,
  /// or automatic with a bounded prefill if the model's positions can be shifted.
  std::optional<PositionMode> positions{};
  /// Absolute positions may pass the trained context, to measure it; else refused, unless a bounded session's
  /// positions cannot be shifted and were not chosen.
  bool past_trained_context = false;
  /// Tokens by which the cache may outgrow its budget while decoding, if an eviction costs more than removing
  /// cells (`decode_slack`: packed positions, plans for each layer, attention). The eviction is then paid
  /// once for so many tokens; >= 1.
  int n_decode_slack = 64;
  /// Polled between batches, and inside llama.cpp's computation (CPU) but for a model that keeps a state,
  /// which half a batch would spoil; true stops with kCancelled.
  const std::atomic<bool>* cancel = nullptr;
};

/// `options` as a session of `model` and `policy` has them: positions chosen, flash attention off if the
/// policy chooses by the attention of every query. Throws `Error(kInvalidArgument)` for an option out of its
/// range, and if a policy that chooses by attention meets several sequences, or, by that of every query,
/// flash attention that is forced on; `Error(kUnsupported)` for what the model cannot do: packed or automatic
/// positions that it cannot shift, a quantised V cache without flash attention.
[[nodiscard]] SessionOptions resolved_options(const Model& model, const Policy& policy,
                                              SessionOptions options);

/// One sentence if K or V of a type of `options` makes the prefill of `model` slow where it computes on the
/// CPU, which has no fast attention for it; else empty. A GPU has one for each type.
[[nodiscard]] std::string slow_kv_types(const Model& model, const SessionOptions& options);

struct AppendOptions {
  std::optional<PrefillMode> prefill{};  ///< Nothing: the session's.
  /// Bounded appends: no more tokens than so many come behind these, so that a short text gets no more cells
  /// than it needs. Nothing: any number.
  std::optional<std::int64_t> n_to_come{};
  /// Called in order with the original index of each token of the call and the natural logarithm
  /// of the probability that the model gave it after what the cache then held. Not called for
  /// a token that nothing was computed before: the first one of a session, or after `trim`.
  std::function<void(std::int64_t index, double log_probability)> on_log_probability{};
  /// The same, with the `n_best` most probable tokens beside it. O(n_vocab) a token.
  std::function<void(std::int64_t index, const DrawnToken&)> on_probabilities{};
  int n_best = 0;

  [[nodiscard]] bool wants_probabilities() const noexcept { return on_log_probability || on_probabilities; }
};

class Session;

/// Tokens that a session appends in a batch with others (`Session::append_each`).
struct SessionTokens {
  Session* session = nullptr;
  std::span<const Token> tokens;  ///< At most `n_batch`; none: the session is left alone.
  /// kBounded: evicts before them, as a bounded append does before each chunk; at most `n_chunk` tokens then.
  PrefillMode prefill = PrefillMode::kFull;
};

struct EvictOptions {
  /// Prompt tokens that will be appended right after the eviction and that the plan must already
  /// count (they are the newest ones: the plan keeps them).
  std::int64_t n_upcoming = 0;
  /// Tokens that are expected to be generated or appended after those: room is left for as many
  /// of them as the policy lets the cache hold.
  std::int64_t n_reserve = 0;
};

struct GenerateOptions {
  std::int64_t max_new_tokens = 128;
  SamplingOptions sampling{};
  /// The form of the answer from its first token to its end, in llama.cpp's GBNF (`grammar.h`); empty: any.
  std::string grammar{};
  GrammarStart grammar_start{};
  /// Control tokens whose names are a part of the text; of others there is none.
  std::vector<Token> shown_tokens{};
  bool stop_at_end_of_generation = true;
  std::vector<std::string> stop{};  ///< Texts that end the generation where one begins; not empty.
  std::span<const Token> recent{};  ///< Tokens before it that the penalties count: the last 64.
  /// Called with the probability of each new token and of the `n_best` most probable ones, before `on_token`.
  /// Nothing is computed without it. O(n_vocab) for each token.
  std::function<void(const DrawnToken&)> on_drawn{};
  int n_best = 0;
  /// Called with each new token and the text that it completes (whole characters, or none); false stops.
  std::function<bool(Token, std::string_view)> on_token{};
  /// Called at the end with what was held back since it might have become a text of `stop`, if any.
  std::function<void(std::string_view)> on_rest{};
};

struct Generation {
  std::vector<Token> tokens;  ///< Without the end-of-generation token; with those of a text of `stop`.
  std::string text;           ///< Up to a text of `stop`.
  bool reached_end = false;   ///< Whether the model itself ended, with a text of `stop` or without.
};

}  // namespace kvevict
