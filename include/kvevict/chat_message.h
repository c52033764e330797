#pragma once

#include <string>
#include <vector>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// A function that an answer calls.
struct ToolCall {
  std::string id{};         ///< By which the function's result names the call; may be empty.
  std::string name{};       ///< Of the function.
  std::string arguments{};  ///< A JSON object, as the model wrote it.
  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

/// One message of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant" or "tool", which brings the result of a call.
  std::string content;
  std::string reasoning{};             ///< Of an answer: its thoughts, if they are apart from `content`.
  std::vector<ToolCall> tool_calls{};  ///< Of an answer.
  std::string tool_call_id{};          ///< Of a result: the call's id.
  std::string name{};                  ///< Of a result: the function's name, for templates that write it.
  /// Of the first message of a list: a JSON list of the functions that the model may call,
  /// [{"type":"function","function":{"name","description","parameters"}}]; empty: none.
  std::string tools{};
  friend bool operator==(const ChatMessage&, const ChatMessage&) = default;
};

}  // namespace kvevict
