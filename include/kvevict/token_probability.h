#pragma once

#include <string>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/model.h"

namespace KVEVICT_PUBLIC kvevict {

/// A token and how probable the model held it to be, before temperature, penalties, biases and a grammar.
struct TokenProbability {
  Token token = 0;
  double log_probability = 0.0;  ///< The natural logarithm; 0 is certain.
  std::string bytes{};           ///< What it stands for, control tokens too; may be a part of a character.
};

/// A token that was drawn, and what else might have been.
struct DrawnToken {
  TokenProbability drawn{};
  std::vector<TokenProbability> best{};  ///< The most probable tokens, best first; may have the drawn one.
};

}  // namespace kvevict
