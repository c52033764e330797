#pragma once

#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// `h2o`: the recent window, and the tokens that got the most attention so far ("heavy hitters"): the sum
/// over every query since a token was written. How tokens are chosen: `ScorePolicy`. The defaults give half
/// of the budget to either, as the paper does, and no sink: early tokens have attention enough.
///
/// Source: Zhang et al. 2023, "H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language
/// Models" (arXiv 2306.14048), section 4; h2o_hf/utils_hh/modify_llama.py of FMInference/H2O at ac75c2a.
/// Deviations, and why:
/// - Theirs chooses for each head, ours averages over the heads: a cell of llama.cpp's cache holds all heads.
/// - Theirs chooses for each layer; ours by the mean over the layers unless `per_layer=1`, since one shared
///   set needs no copy of the rows.
/// - Theirs masks the whole prompt's attention at once and evicts at every token; ours evicts when the cache
///   outgrows its budget. Its budgets are shares of the prompt, ours token counts.
[[nodiscard]] std::unique_ptr<const Policy> make_h2o(const StrategySpec& spec);

}  // namespace kvevict
