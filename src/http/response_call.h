#pragma once

#include <string>
#include <string_view>

#include "http/chat_call.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// What a body of /v1/responses asks for.
struct ResponseCall {
  ChatCall chat{};  ///< The same as a call of /v1/chat/completions, with the input as its messages.
  std::string instructions{};  ///< In front of all messages; not kept with them.
  std::string previous{};      ///< The response whose messages come before the input; empty: none.
  bool is_stored = true;       ///< Whether others may go on with it.
  JsonReader::Json echoed{};   ///< Fields of the body that the response repeats.
};

/// Reads a body. Errors: kBadData and kInvalidArgument (field: the path of the field), and those of
/// `parse_chat_call`.
[[nodiscard]] ResponseCall parse_response_call(std::string_view body, const AnswerDefaults& defaults);

/// Puts the instructions and `history`, what was said before, in front of the input.
void go_on_from(ResponseCall& call, const std::vector<ChatMessage>& history);

}  // namespace kvevict::http
