#pragma once

#include <nlohmann/json_fwd.hpp>

#include "kvevict/chat_message.h"

namespace kvevict {

/// A message for a file: {"role", "content"} and what else it has.
[[nodiscard]] nlohmann::json message_json(const ChatMessage& message);

/// Errors: nlohmann::json::exception for JSON that is no message.
[[nodiscard]] ChatMessage message_from_json(const nlohmann::json& json);

}  // namespace kvevict
