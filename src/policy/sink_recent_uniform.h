#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kvevict/policy.h"

namespace kvevict {

/// `sink_recent_uniform`: sink, recent window, and evenly spread blocks of the middle, by budget
/// or by stride. The first plan that drops a token freezes the middle blocks; later plans keep
/// the sink, those blocks and the recent window, so that nothing evicted is asked for again.
/// In a stream the middle blocks follow the ruler order (`build_ruler_keep_token_idx`).
///
///     token   0 1 2 3 4 5 6 7 8 9 a b c d e f    (sink 2, recent 4, budget 4, block 2)
///     kept    x x     x x     x x     x x x x
///
/// Bound: sink + budget + recent tokens; with a stride: whatever the first plan keeps.
[[nodiscard]] std::unique_ptr<const Policy> make_sink_recent_uniform(const StrategySpec& spec);

/// Shapes that hold `n_tokens` tokens, for `tune`.
[[nodiscard]] std::vector<StrategySpec> sink_recent_uniform_shapes(std::int64_t n_tokens);

}  // namespace kvevict
