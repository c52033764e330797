#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kvevict/policy.h"

namespace kvevict {

/// `sink_recent`: the first `sink_tokens` and the last `recent_tokens`.
///
///     token   0 1 2 3 4 5 6 7 8 9 …        (sink 2, recent 3, after 10 tokens)
///     kept    x x           x x x
///
/// Bound: sink_tokens + recent_tokens. Nested over time.
[[nodiscard]] std::unique_ptr<const Policy> make_sink_recent(const StrategySpec& spec);

/// Shapes that hold `n_tokens` tokens, for `tune`.
[[nodiscard]] std::vector<StrategySpec> sink_recent_shapes(std::int64_t n_tokens);

}  // namespace kvevict
