#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// Tokens of texts of which each mostly begins as the one before did, such as the histories that a client
/// sends with every turn. What is the same up to a control token is not tokenized again.
///
/// Holds the last text and its tokens. Thread safety: one thread at a time.
class GrowingText {
 public:
  /// The same as `model.tokenize(parts, true)`. REQUIRES: the model is the same each time. Errors: its.
  [[nodiscard]] std::vector<Token> tokens(const Model& model, std::span<const TextPart> parts);

 private:
  struct Stretch {
    std::string text;  // empty: a control token
    Token token;
    std::size_t n_tokens;  // of it and those before
  };
  std::vector<Stretch> stretches_{};
  std::vector<Token> tokens_{};  // of the stretches alone
};

}  // namespace kvevict
