#pragma once

#include <span>

#include "kvevict/strategy_spec.h"

namespace kvevict {

/// The rows of the library's own values.
[[nodiscard]] std::span<const StrategyKey> built_in_keys();

/// Throws `Error(kInvalidArgument)` that names the value.
void require_in_range(const StrategyKey& key, std::int64_t value);

}  // namespace kvevict
