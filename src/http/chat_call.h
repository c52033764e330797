#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "serving/chat_request.h"

namespace kvevict::http {

/// What a body of /v1/chat/completions asks for.
struct ChatCall {
  serving::ChatRequest request{};  ///< Without an owner.
  bool is_streamed = false;
  bool includes_usage = false;   ///< The stream ends with a chunk of the counts.
  bool has_logprobs = false;     ///< Of each token, and of the request's `n_best` most probable ones.
  AnswerFormatOptions format{};  ///< How answers are read; `request.form.format` is made of it.
  int n_choices = 1;             ///< Answers to the same list, each with a seed of its own.
};

/// What an answer is if its request does not say it.
struct AnswerDefaults {
  AnswerOptions form{};
  bool has_seed = false;                                            ///< Else each answer has a random one.
  std::int32_t n_vocab = std::numeric_limits<std::int32_t>::max();  ///< Tokens that may have a bias.
};

/// Longest answer that may be asked for, in tokens; most texts of "stop"; longest JSON schema, in bytes; most
/// answers to one list; most tokens of "top_logprobs".
inline constexpr std::int64_t kLongestAnswer = 65'536;
inline constexpr std::size_t kMostStops = 16;
inline constexpr std::size_t kLongestSchema = 65'536;
inline constexpr int kMostChoices = 8;
inline constexpr int kMostBest = 20;

/// Reads a body. A field that is not known is refused, unless its value asks for nothing. Errors: kBadData
/// and kInvalidArgument (field: the path of the field, "messages[2].content"); those of
/// `grammar_of_json_schema`.
[[nodiscard]] ChatCall parse_chat_call(std::string_view body, const AnswerDefaults& defaults);

}  // namespace kvevict::http
