#pragma once

#include <cstddef>
#include <span>

#include "kvevict/model.h"

namespace kvevict {

/// How many tokens at the beginning of two lists are the same text.
struct TokenMatch {
  std::size_t n_seen = 0;
  std::size_t n_given = 0;
  friend bool operator==(const TokenMatch&, const TokenMatch&) = default;
};

/// The longest beginnings of both lists that say the same: token by token, or in other tokens of the same
/// text, for a model may write a word in other tokens than the tokenizer does. A control token is the same as
/// itself alone. O(tokens).
[[nodiscard]] TokenMatch match_tokens(const Model& model, std::span<const Token> seen,
                                      std::span<const Token> given);

}  // namespace kvevict
