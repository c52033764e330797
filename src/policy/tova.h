#pragma once

#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// `tova`: the tokens that the newest query looks at most ("token omission via attention"). How tokens are
/// chosen: `ScorePolicy`. The defaults protect nothing but the newest token.
///
/// Source: Oren et al. 2024, "Transformers are Multi-State RNNs" (arXiv 2401.06104), section 4;
/// src/tova_cache.py of schwartz-lab-NLP/TOVA at 275cf5f, which averages over the heads as ours does.
/// Deviations, and why:
/// - Theirs chooses for each layer; ours by the mean over the layers unless `per_layer=1` (as in h2o).
/// - Theirs may drop the newest token; ours never does: llama.cpp goes on behind it.
/// - Theirs evicts at every token; ours when the cache outgrows its budget.
[[nodiscard]] std::unique_ptr<const Policy> make_tova(const StrategySpec& spec);

}  // namespace kvevict
