#pragma once

#include <cstdint>
#include <vector>

#include "kvevict/keep_plan.h"
#include "kvevict/simple_evict.h"

namespace kvevict {

/// Refuses a plan of so many tokens: kInvalidArgument for less than 0 and more than kMaxTokens.
void require_plannable(std::int64_t n_tokens);

/// A rank for a score: the score itself, 0 for what is no finite number; below the rank of a token that has
/// no score yet.
[[nodiscard]] float finite_rank(float score);

/// Of the tokens `held`, ascending, with a rank each, and the newer ones `fresh`, which have none yet, the
/// `n_most` that stay: first the sink and the recent window of `ends`, then the fresh ones, then those of the
/// highest rank, the newest first among equals. All, if they are `n_most` or fewer. O(tokens).
[[nodiscard]] KeepSet highest_ranked(const KeepSet& held, std::vector<float> ranks, TokenRange fresh,
                                     const SimpleEvictConfig& ends, std::int64_t n_most);

/// Tokens that each layer can keep so that all keep equally many: `n_budget` at most, and no more than any
/// layer has of `held` and `fresh`.
[[nodiscard]] std::int64_t equal_count(const KeepPlan& held, TokenRange fresh, std::int64_t n_budget);

}  // namespace kvevict
