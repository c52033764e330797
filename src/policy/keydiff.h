#pragma once

#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// `keydiff`: the sink, the recent window, and between them the tokens whose keys are unlike the others':
/// what stands out in a text. It looks at no attention, so that nothing is recorded while the prompt is
/// computed and flash attention stays on; and at no question, so that what it keeps can be asked for later.
///
/// For each layer and KV head, k is a cached key with the rotation of its position taken back, and a the mean
/// of k / |k| over all rows held, sinks included. The score of a row is -cos(k, a), averaged over heads and
/// layers, and then over the tokens at most `smooth` / 2 away in the text, with the last known score of those
/// that are evicted (`NeighbourScores`). With N = sink + recent + budget, of the tokens held and those to
/// come N stay: the sink and the recent window, then tokens that are not in the cache yet, then those of the
/// highest score, the newest first among equals. N or fewer: all. Scores are taken anew at every eviction.
///
/// `per_layer` 1: each layer decides for itself, all keep equally many. `rotated` 1: keys as they lie in the
/// cache. Bound: N tokens in every layer. Nested over time. The same rule under both schedules. O(elements of
/// the keys held) for a plan that drops tokens; one that drops none reads no key.
///
/// Source: Park et al. 2025, "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference
/// in Resource-Constrained Environments" (arXiv 2504.15364), section 3: evict the keys most similar to the
/// mean of the normalised keys; NVIDIA/kvpress, presses/keydiff_press.py. Theirs scores the keys as they are
/// cached, for each head; that is nearest to `rotated=1:smooth=1:per_layer=1` here.
/// Deviations, and why (docs/evidence.md has the numbers, of one small model):
/// - The rotation is taken back: two equal words far apart have different cached keys, and the mean of many
///   rotated keys says where they stand rather than what they say.
/// - One choice for all layers: a cell of llama.cpp's cache belongs to all of them, so that nothing has to be
///   rearranged; and a token that one layer lacks is of little use to the next.
/// - Smoothed over neighbours: a fact is several tokens, and half of it answers nothing.
/// - A sink and a recent window are always kept; theirs keeps neither by rule.
[[nodiscard]] std::unique_ptr<const Policy> make_keydiff(const StrategySpec& spec);

}  // namespace kvevict
