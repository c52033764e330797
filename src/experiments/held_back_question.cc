#include "experiments/held_back_question.h"

#include <algorithm>
#include <vector>

#include "kvevict/error.h"

namespace kvevict::eval {

std::string to_string(QuestionOrder order) {
  return order == QuestionOrder::kAfter ? "after" : "before";
}

std::int64_t count_question_tokens(const Model& model, std::span<const Token> tokens,
                                   const std::string& context) {
  const std::vector<Token> of_context = model.tokenize(context, true, true);
  const auto end = std::mismatch(tokens.begin(), tokens.end(), of_context.begin(), of_context.end()).first;
  if (end == tokens.begin()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt begins with its question: one that comes after the eviction needs a context "
                "before it");
  }
  if (end == tokens.end()) {
    throw Error(ErrorCode::kInvalidArgument,
                "nothing stands behind the context of the prompt: a question that comes after the eviction "
                "needs one token or more");
  }
  return tokens.end() - end;
}

}  // namespace kvevict::eval
