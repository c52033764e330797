#pragma once

#include <cstdint>

#include "kvevict/session_options.h"

namespace kvevict {

/// Refuses a text of `n_tokens` tokens, the answer included, whose positions would pass the context that the
/// model was trained on: absolute ones, which no eviction lowers. `options`: resolved.
/// Errors: kInvalidArgument (field "positions").
void require_trained_positions(const Model& model, const SessionOptions& options, std::int64_t n_tokens);

}  // namespace kvevict
