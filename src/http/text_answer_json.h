#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "http/chat_answer.h"
#include "serving/chat_request.h"

namespace kvevict::http {

/// One choice of /v1/completions.
struct TextChoice {
  serving::ChatResult result{};
  std::string echo{};               ///< What stands in front of the answer.
  std::vector<DrawnToken> drawn{};  ///< Tokens of the echo and of the answer, if they are asked for.
  bool has_first = false;           ///< The first of them has no probability: nothing stood before it.
  bool is_first_of_text = true;     ///< Its text counts: those behind it go on with the same one.
};

/// What texts are gone on with, "text_completion".
[[nodiscard]] std::string text_completion(const AnswerFrame& frame, std::span<const TextChoice> choices);

/// The events of a stream, each with its "data: " and the empty line behind it; `index` is the choice's.
[[nodiscard]] std::string text_event(const AnswerFrame& frame, std::size_t index, const std::string& text);
[[nodiscard]] std::string text_end_event(const AnswerFrame& frame, std::size_t index,
                                         const TextChoice& choice);
[[nodiscard]] std::string text_usage_event(const AnswerFrame& frame, std::span<const TextChoice> choices);

}  // namespace kvevict::http
