#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "runtime/model_run.h"

namespace kvevict::eval {

/// What decoding costs behind one prompt with one cache.
struct DecodeSpeed {
  std::int64_t n_tokens_held = 0;  ///< When the decoding begins.
  std::int64_t kv_bytes = 0;       ///< K and V allocated then.
  double tokens_per_second = 0;
};

struct DecodeSpeeds {
  DecodeSpeed full, evicted;
  double seconds_prefill = 0;
  double seconds_eviction = 0;
};

/// Decodes `n_new` tokens behind `prompt` twice from one prefill: with every token in the cache, then, from
/// the end of the prompt again, with what the run's policy keeps. The eviction gives its memory back in
/// between. `on_progress`: how many tokens of the prompt are in, batch by batch. Full prefill, whatever the
/// options say. Errors: those of Session; kInvalidArgument for a prompt of fewer than 2 tokens or n_new < 1.
[[nodiscard]] DecodeSpeeds compare_decode_speed(const ModelRun& run, std::span<const Token> prompt,
                                                std::int64_t n_new,
                                                const std::function<void(std::int64_t n_done)>& on_progress);

}  // namespace kvevict::eval
