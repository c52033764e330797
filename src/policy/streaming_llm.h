#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kvevict/policy.h"

namespace kvevict {

/// `streaming_llm`: sink + recent with the paper's 4 sinks and packed positions: positions are
/// assigned within the cache, not within the text.
///
/// Source: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks"
/// (arXiv 2309.17453), section 3.2; `start_size` and `recent_size` of streaming_llm/kv_cache.py
/// (mit-han-lab/streaming-llm at 2e50426) are our sink_tokens and recent_tokens.
/// Deviation: theirs caches unrotated keys and rotates all of them at every step; ours rotates the
/// cached keys by the difference when tokens move, which is the same rotation.
[[nodiscard]] std::unique_ptr<const Policy> make_streaming_llm(const StrategySpec& spec);

/// Shapes that hold `n_tokens` tokens, for `tune`.
[[nodiscard]] std::vector<StrategySpec> streaming_llm_shapes(std::int64_t n_tokens);

}  // namespace kvevict
