#pragma once

#include <span>

#include "kvevict/model.h"

namespace kvevict {

/// The natural logarithm of `token`'s probability under `logits`, `[n_vocab]`. O(n_vocab).
[[nodiscard]] double log_probability(std::span<const float> logits, Token token);

}  // namespace kvevict
