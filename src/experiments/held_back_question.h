#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kvevict/model.h"

namespace kvevict::eval {

/// Whether the policy sees a prompt's question when it chooses.
enum class QuestionOrder {
  kBefore,  ///< The eviction comes after the whole prompt, as in LongBench.
  kAfter,   ///< The eviction comes after the context alone; the question is appended to what was kept.
};

/// "before" or "after".
[[nodiscard]] std::string to_string(QuestionOrder order);

/// How many of the last of `tokens`, a prompt that begins with the text `context`, are the question's. The
/// tokens are those of the whole prompt: one that reaches over the end of the context counts as the
/// question's. Errors: kInvalidArgument if the context or what is behind it has no token of its own.
[[nodiscard]] std::int64_t count_question_tokens(const Model& model, std::span<const Token> tokens,
                                                 const std::string& context);

}  // namespace kvevict::eval
