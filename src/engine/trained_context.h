#pragma once

#include <cstdint>

#include "kvevict/session_options.h"

namespace kvevict {

/// Tokens that a cache of `model` may hold: its trained context. 0: nothing limits it, for the model does not
/// say, or no layer holds a cache.
[[nodiscard]] std::int64_t context_limit(const Model& model);

/// Refuses a text of `n_tokens` tokens, the answer included, whose positions would pass the context that the
/// model was trained on: absolute ones, which no eviction lowers. `options`: resolved.
/// Errors: kInvalidArgument (field "positions").
void require_trained_positions(const Model& model, const SessionOptions& options, std::int64_t n_tokens);

}  // namespace kvevict
