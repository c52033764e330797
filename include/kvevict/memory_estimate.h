#pragma once

#include <cstdint>
#include <optional>

#include "kvevict/session.h"

namespace kvevict {

/// What a session would need. Bytes, over all devices.
struct MemoryEstimate {
  std::int64_t weight_bytes = 0;
  std::int64_t kv_bytes = 0;
  std::optional<std::int64_t> compute_bytes;  ///< Nothing where llama.cpp does not say.
};

/// What a session with `options` and room for `n_tokens` tokens would need. `model` should be
/// loaded with `ModelOptions::weights` false: llama.cpp then plans its buffers without
/// allocating them. Errors: those of making a context.
[[nodiscard]] MemoryEstimate estimate_memory(std::shared_ptr<const Model> model,
                                             const SessionOptions& options, std::int64_t n_tokens);

}  // namespace kvevict
