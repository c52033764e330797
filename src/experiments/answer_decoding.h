#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kvevict/session.h"

namespace kvevict::eval {

struct AnswerSettings {
  std::int64_t n_new_tokens = 0;
  SamplingOptions sampling;
  /// LongBench's rule for samsum: the answer is not empty and ends at its first new line.
  bool stops_at_newline = false;
  /// Whether sessions evict for the answer's tokens too; else these come on top of the budget.
  bool evicts = true;
};

/// An answer that is being decoded: a session whose logits are those after the prompt.
struct AnswerLine {
  Session session;
  std::vector<Token> tokens{};  ///< Of the answer, without the one that ends it.
  bool is_done = false;
};

/// Decodes all answers together, a token of each at a time: one llama_decode for all sessions that share a
/// context. Each answer has the tokens that it would have alone. Errors: those of Session.
void decode_answers(std::span<AnswerLine> lines, const AnswerSettings& settings);

}  // namespace kvevict::eval
