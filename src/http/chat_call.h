#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "serving/chat_request.h"

namespace kvevict::http {

/// What a body of /v1/chat/completions asks for.
struct ChatCall {
  serving::ChatRequest request{};  ///< Without an owner.
  bool is_streamed = false;
  bool includes_usage = false;  ///< The stream ends with a chunk of the counts.
};

/// What an answer is if its request does not say it.
struct AnswerDefaults {
  AnswerOptions form{};
  bool has_seed = false;  ///< Else each answer has a random one.
};

/// Longest answer that may be asked for, in tokens; most texts of "stop"; longest JSON schema, in bytes.
inline constexpr std::int64_t kLongestAnswer = 65'536;
inline constexpr std::size_t kMostStops = 16;
inline constexpr std::size_t kLongestSchema = 65'536;

/// Reads a body. A field that is not known is refused, unless its value asks for nothing. Errors: kBadData
/// and kInvalidArgument (field: the path of the field, "messages[2].content"); those of
/// `grammar_of_json_schema`.
[[nodiscard]] ChatCall parse_chat_call(std::string_view body, const AnswerDefaults& defaults);

}  // namespace kvevict::http
