#pragma once

#include <span>

#include "kvevict/model.h"
#include "kvevict/token_probability.h"

namespace kvevict {

/// The natural logarithm of `token`'s probability under `logits`, `[n_vocab]`. O(n_vocab).
[[nodiscard]] double log_probability(std::span<const float> logits, Token token);

/// `token`'s probability under `logits`, `[n_vocab]`, and that of the `n_best` most probable tokens.
/// O(n_vocab). Errors: kInvalidArgument if `n_best` is no number from 0 to the vocabulary's.
[[nodiscard]] DrawnToken token_probabilities(const Model& model, std::span<const float> logits, Token token,
                                             int n_best);

}  // namespace kvevict
