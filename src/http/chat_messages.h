#pragma once

#include <vector>

#include "kvevict/model.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// Most messages of a list.
inline constexpr std::size_t kMostMessages = 10'000;

/// The field "messages": texts, or lists of parts of the type "text", which are joined. "developer" is
/// "system". Errors: kBadData and kInvalidArgument that name the message.
[[nodiscard]] std::vector<ChatMessage> parse_messages(const JsonReader& messages);

}  // namespace kvevict::http
