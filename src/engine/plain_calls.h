#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/chat_message.h"

namespace kvevict {

/// How calls are written where a template has no place for them: between these, with nothing else beside.
inline constexpr std::string_view kCallBegin = "<tool_call>\n{\"name\": \"";
inline constexpr std::string_view kCallArguments = "\", \"arguments\": ";
inline constexpr std::string_view kCallEnd = "}\n</tool_call>";
inline constexpr std::string_view kCallTrigger = "<tool_call>";

/// The functions that `messages` bring; empty: none.
[[nodiscard]] std::string tools_in(std::span<const ChatMessage> messages);

/// Whether any of `messages` has functions, calls or results.
[[nodiscard]] bool have_calls(std::span<const ChatMessage> messages);

/// `messages` as texts of a system, a user and an assistant: the functions behind the system prompt, calls
/// behind the answer's content, results as what a user says. O(text).
[[nodiscard]] std::vector<ChatMessage> with_plain_calls(std::span<const ChatMessage> messages);

}  // namespace kvevict
