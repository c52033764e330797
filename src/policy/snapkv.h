#pragma once

#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// `snapkv`: the last `window` queries vote. The tokens in front of the recent window that they look at most
/// stay, each counted as the most looked-at of `pool` neighbouring rows, so that what stands around an
/// important token stays with it. How tokens are chosen: `ScorePolicy`. The window itself is kept: recent >=
/// window is needed, and the default is equal.
///
/// Source: Li et al. 2024, "SnapKV: LLM Knows What You Are Looking for Before Generation" (arXiv 2404.14469),
/// section 4; snapkv/monkeypatch/snapkv_utils.py of FasterDecoding/SnapKV at 395b54d (window 32; average or
/// max pooling over 5 rows by default). Ours takes the maximum over 7.
/// Deviations, and why:
/// - Theirs pools and chooses for each head, ours averages over the heads first: a cell of llama.cpp's cache
///   holds all heads. Each layer chooses for itself, as theirs does, where the model's cache can hold other
///   tokens in each (`per_layer=2`): one choice for all layers finds 2 of 40 codes, this one 13
///   (docs/evidence.md).
/// - Theirs compresses the prompt once and lets the answer's tokens pile up; ours chooses again, by the
///   newest
///   queries, whenever the cache outgrows its budget.
/// - Theirs has no sink; ours has one of 0 tokens unless it is asked for.
[[nodiscard]] std::unique_ptr<const Policy> make_snapkv(const StrategySpec& spec);

}  // namespace kvevict
