#include "engine/plain_calls.h"

#include <algorithm>
#include <string>
#include <utility>

namespace kvevict {
namespace {

/// What tells a model about its functions.
std::string introduction(const std::string& tools) {
  return "You can call functions. These are the functions, as JSON:\n<tools>\n" + tools +
         "\n</tools>\nTo call one, write its name and its arguments as a JSON object in this form, and "
         "nothing "
         "behind it:\n" +
         std::string(kCallBegin) + "NAME" + std::string(kCallArguments) + "{ARGUMENTS}" +
         std::string(kCallEnd) + "\nThe result comes between <tool_response> and </tool_response>.";
}

std::string call_text(const ToolCall& call) {
  return std::string(kCallBegin) + call.name + std::string(kCallArguments) + call.arguments +
         std::string(kCallEnd);
}

std::string response(const ChatMessage& result) {
  return "<tool_response>\n" + result.content + "\n</tool_response>";
}

}  // namespace

std::string tools_in(std::span<const ChatMessage> messages) {
  const auto found =
      std::ranges::find_if(messages, [](const ChatMessage& one) { return !one.tools.empty(); });
  return found == messages.end() ? std::string() : found->tools;
}

bool have_calls(std::span<const ChatMessage> messages) {
  return std::ranges::any_of(messages, [](const ChatMessage& one) {
    return !one.tools.empty() || !one.tool_calls.empty() || one.role == "tool";
  });
}

std::vector<ChatMessage> with_plain_calls(std::span<const ChatMessage> messages) {
  std::vector<ChatMessage> plain;
  const std::string tools = tools_in(messages);
  bool is_result = false;  // the last of `plain`
  for (const ChatMessage& message : messages) {
    if (message.role == "tool" && is_result) {
      plain.back().content += "\n" + response(message);
      continue;
    }
    is_result = message.role == "tool";
    ChatMessage one{is_result ? "user" : message.role, is_result ? response(message) : message.content,
                    message.reasoning};
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i)
      one.content += (i == 0 ? "" : "\n") + call_text(message.tool_calls[i]);
    plain.push_back(std::move(one));
  }
  if (tools.empty()) return plain;
  if (plain.front().role == "system") {
    plain.front().content += "\n\n" + introduction(tools);
  } else {
    plain.insert(plain.begin(), {"system", introduction(tools)});
  }
  return plain;
}

}  // namespace kvevict
