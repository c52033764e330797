#pragma once

#include <cstdint>

#include "engine/attention_scores.h"
#include "engine/llama_handles.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// Makes a llama.cpp context of `n_cells` cells, a multiple of 256, with room for the logits of `n_outputs`
/// tokens of a batch. `scores`: records attention; outlives the context. `n_streams`: sequences that have so
/// many cells each, of their own; 0: those of `options` share the cells.
/// Errors: kUnsupported, kOutOfMemory, kEngine with llama.cpp's reason.
[[nodiscard]] LlamaContextHandle make_llama_context(const Model& model, const SessionOptions& options,
                                                    std::int64_t n_cells, int n_outputs,
                                                    AttentionScores* scores = nullptr, int n_streams = 0);

/// Refuses packed and automatic positions where the context cannot shift any. Errors: kUnsupported.
void require_shifts(const Model& model, llama_context* context);

/// For llama.cpp's abort callback; `cancel`: a std::atomic<bool>.
bool is_cancelled(void* cancel);

}  // namespace kvevict
