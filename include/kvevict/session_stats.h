#pragma once

#include <cstdint>

#include "kvevict/export.h"
#include "kvevict/keep_plan.h"

namespace KVEVICT_PUBLIC kvevict {

/// What an eviction did. Counts in tokens per layer, times in seconds.
struct EvictionReport {
  KeepPlan kept;  ///< Original indices that the plan keeps, upcoming ones included.
  std::int64_t n_removed = 0;
  double seconds_plan = 0;
  double seconds_move = 0;  ///< Removing, moving to the right-sized context, giving memory back.
};

/// Running figures of a session. Bytes are of K and V rows: llama.cpp's allocation. Cells, bytes
/// and decode calls are those of the context, which forked sessions share; in a pool, cells and bytes are of
/// the session's own part.
struct SessionStats {
  std::int64_t n_tokens_seen = 0;
  std::int64_t n_tokens_held = 0;       ///< Tokens in the cache now, per layer.
  std::int64_t n_tokens_held_peak = 0;  ///< Most at any time.
  std::int64_t n_cells = 0;             ///< Cells allocated now (llama.cpp pads to 256).
  std::int64_t kv_bytes = 0;            ///< Allocated now.
  std::int64_t kv_bytes_peak = 0;       ///< Most at any time, copies in flight while cells move included.
  std::int64_t state_bytes = 0;         ///< Of a model that keeps a state, for all sequences; fixed.
  std::int64_t n_evictions = 0;         ///< Plans that dropped tokens.
  std::int64_t n_packs = 0;             ///< Times that positions were packed: shifts of all keys.
  std::int64_t n_decode_calls = 0;      ///< Calls of llama_decode.
  std::int64_t n_decoded_tokens = 0;    ///< Tokens in those calls.
  int n_threads = 0;                    ///< Threads that decode a token at a time now; 0 before any.
  int n_threads_batch = 0;              ///< Threads that compute batches now.
};

}  // namespace kvevict
