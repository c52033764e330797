#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kvevict/export.h"
#include "kvevict/session.h"

namespace KVEVICT_PUBLIC kvevict {

/// As many tokens as may come.
inline constexpr std::int64_t kAnyLength = kMaxTokens;

/// What goes through one session: a prompt (`Session::append`, and with a full prefill `evict`), then an
/// answer (`Session::generate`). Tokens.
struct RunSize {
  std::int64_t n_prompt = kAnyLength;
  std::int64_t n_new = kAnyLength;    ///< Most tokens of the answer.
  std::int64_t n_after_eviction = 1;  ///< Full prefill: last prompt tokens that come behind the eviction.
};

/// What a run holds. Tokens and cells per layer; bytes of K and V over all layers and devices.
struct MemoryNeeded {
  std::int64_t n_tokens_held = 0;  ///< Most at any time.
  std::int64_t n_cells = 0;        ///< Most allocated, padded to llama.cpp's multiple of 256.
  std::int64_t kv_bytes = 0;       ///< Of those cells.
  std::int64_t kv_bytes_after =
      0;  ///< Of the cells once the prompt is in and evicted, room for the answer included.
  std::int64_t kv_bytes_peak = 0;  ///< Most at any time, copies in flight while cells move included.
};

/// What a session of `policy` and `options` holds during a run of `size`: the one place that tells it before
/// the run, as `SessionStats` does after it. Never less than the run needs; more by the tokens alone that an
/// answer which ends early, or a ladder that thins whole groups, does not hold. Where the lengths are not
/// known (`kAnyLength`), a cache that nothing bounds is that of the model's trained context.
/// Errors: those of `resolved_options` and `Policy::plan`; kInvalidArgument for negative lengths and for a
/// bounded prefill with a policy that has no bound. O(log n_new) plans.
[[nodiscard]] MemoryNeeded memory_needed(const Model& model, const Policy& policy,
                                         const SessionOptions& options, const RunSize& size);

/// Bytes of the buffers that llama.cpp computes in, for a context of `n_cells` cells (padded up); nothing if
/// llama.cpp does not say. `options`: as `resolved_options` gives them. Makes a context: `model` should be
/// loaded with `ModelOptions::weights` false, llama.cpp then plans its buffers without allocating them.
/// Errors: kUnsupported, kOutOfMemory, kEngine with llama.cpp's reason.
[[nodiscard]] std::optional<std::int64_t> compute_bytes_needed(const Model& model,
                                                               const SessionOptions& options,
                                                               std::int64_t n_cells);

/// Bytes of the state of fixed size that `model` keeps for a sequence beside K and V, or in place of them;
/// nothing for a model without one. Makes a small context. Errors: as above.
[[nodiscard]] std::optional<std::int64_t> state_bytes_needed(const Model& model,
                                                             const SessionOptions& options);

/// "512MiB", "1.5 GiB", "200MB", "1048576" -> bytes; units B, KB, kB, MB, GB of 1000 and KiB, MiB, GiB of
/// 1024. `what`: the value's name in the sentence of an error. Errors: kInvalidArgument (of `field`) for
/// another text, and for less than one byte or more than 10^15.
[[nodiscard]] std::int64_t parse_bytes(std::string_view text, std::string_view what = "the limit for K and V",
                                       const std::string& field = "kv_memory");

/// The bytes of `needed` that a limit is for: the peak; if a full prefill of a prompt of unknown length comes
/// first, what is held after it.
[[nodiscard]] std::int64_t limited_bytes(const MemoryNeeded& needed, const SessionOptions& options,
                                         const RunSize& size);

/// `spec` with the largest budget whose `limited_bytes` are at most `bytes`. What grows is the middle budget,
/// or for a strategy without one the recent window (`set_total_budget`); never beyond the cells that `bytes`
/// hold, nor with a bounded prefill beyond what the trained context leaves beside a chunk. A strategy without
/// either is returned as it is if it stays within the limit.
/// Errors: kInvalidArgument (field "kv_memory") for a policy that keeps every token, and for a limit that the
/// strategy cannot keep: the sentence says the least that it needs, in MiB; those of `make_policy` and
/// `memory_needed`. O(bytes held / 256 cells + n_prompt / chunk) calls of `memory_needed`.
[[nodiscard]] StrategySpec fit_to_memory(StrategySpec spec, std::int64_t bytes, const Model& model,
                                         const SessionOptions& options, const RunSize& size = {});

}  // namespace kvevict
