#pragma once

#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// `full`: keeps every token. The yardstick that the others are held against.
[[nodiscard]] std::unique_ptr<const Policy> make_full(const StrategySpec& spec);

}  // namespace kvevict
