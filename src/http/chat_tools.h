#pragma once

#include <cstddef>
#include <string>

#include "kvevict/answer_format.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// Most functions of a request; most bytes of all of them; longest name.
inline constexpr std::size_t kMostTools = 128;
inline constexpr std::size_t kLongestTools = 262'144;
inline constexpr std::size_t kLongestFunctionName = 64;

/// Whether a body has functions that may be called.
[[nodiscard]] bool has_tools(const JsonReader& body);

/// The field "tools" as `ChatMessage::tools` wants it. Errors: kBadData that names the place.
[[nodiscard]] std::string parse_tools(const JsonReader& tools);

/// The fields "tool_choice" and "parallel_tool_calls". Errors: as above.
[[nodiscard]] AnswerFormatOptions parse_tool_choice(const JsonReader& body);

/// The field "reasoning_format": whether thoughts are apart. Errors: as above.
[[nodiscard]] bool parse_reasoning_format(const JsonReader& body);

}  // namespace kvevict::http
