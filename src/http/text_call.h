#pragma once

#include <string_view>
#include <vector>

#include "http/chat_call.h"

namespace kvevict::http {

/// What a body of /v1/completions asks for: texts that are gone on with as they stand.
struct TextCall {
  std::vector<serving::ChatRequest> requests{};  ///< One for each choice, in order; without an owner.
  std::size_t n_each = 1;                        ///< Choices of each text, one behind the other.
  bool has_echo = false;                         ///< Each text stands in front of what comes behind it.
  bool has_logprobs = false;                     ///< Of each token, of the text too if it is echoed.
  bool is_streamed = false;
  bool includes_usage = false;
};

/// Most choices of a call, texts times "n"; tokens of an answer if the body does not say it, as OpenAI has
/// it.
inline constexpr std::size_t kMostTexts = 128;
inline constexpr std::int64_t kDefaultTextTokens = 16;

/// Reads a body; texts become tokens of `model`. Errors: kBadData that names the field.
[[nodiscard]] TextCall parse_text_call(std::string_view body, const AnswerDefaults& defaults,
                                       const Model& model);

}  // namespace kvevict::http
