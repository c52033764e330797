#pragma once

#include <cstdint>
#include <optional>

#include "runtime/model_run.h"

namespace kvevict::serving {

/// Tokens per layer that a stream by this run's policy holds; nothing without a bound.
[[nodiscard]] std::optional<std::int64_t> stream_budget(const ModelRun& run);

/// Refuses a client's strategy that holds more than the server's own: memory is the server's to give. Throws
/// Error(kInvalidArgument), field "strategy".
void require_within(const ModelRun& run, const ModelRun& own);

}  // namespace kvevict::serving
