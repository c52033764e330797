#include "http/chat_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace kvevict::http {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};
constexpr std::array<std::string_view, 6> kFields = {"role",         "content",    "name",
                                                     "tool_call_id", "tool_calls", "reasoning_content"};

std::string parse_role(const JsonReader& role) {
  const std::string text = role.text();
  if (std::ranges::find(kRoles, text) == kRoles.end())
    role.refuse(fmt::format("\"{}\" is no role: system, developer, user, assistant or tool is needed", text));
  return text == "developer" ? "system" : text;
}

std::string parse_part(const JsonReader& part) {
  const JsonReader type = part.member("type");
  if (type.text() != "text")
    type.refuse(fmt::format("parts of the type \"{}\" are not supported: this server takes \"text\" alone",
                            type.text()));
  return part.member("text").text();
}

std::string parse_content(const JsonReader& content) {
  if (!content.json().is_array()) return content.text();
  std::string text;
  content.for_each_item([&](const JsonReader& part) { text += parse_part(part); });
  return text;
}

ToolCall parse_call(const JsonReader& call) {
  if (call.has("type") && call.member("type").text() != "function")
    call.member("type").refuse("calls of functions alone are supported: \"function\" is needed");
  const JsonReader function = call.member("function");
  return {.id = call.has("id") ? call.member("id").text() : std::string(),
          .name = function.member("name").text(),
          .arguments = function.member("arguments").text()};
}

/// What answers have beside their content. Their content may be null beside calls.
void parse_answer(const JsonReader& message, ChatMessage& parsed) {
  if (message.has("reasoning_content")) parsed.reasoning = message.member("reasoning_content").text();
  if (!message.has("tool_calls")) return;
  message.member("tool_calls").for_each_item([&](const JsonReader& call) {
    parsed.tool_calls.push_back(parse_call(call));
  });
}

ChatMessage parse_message(const JsonReader& message) {
  ChatMessage parsed{parse_role(message.member("role")), ""};
  if (parsed.role == "assistant") {
    parse_answer(message, parsed);
  } else {
    for (const char* name : {"tool_calls", "reasoning_content"}) {
      if (message.has(name) && !message.json().at(name).empty())
        message.member(name).refuse("it is there in messages of the role \"assistant\" alone");
    }
  }
  if (parsed.role == "tool") {
    if (message.has("tool_call_id")) parsed.tool_call_id = message.member("tool_call_id").text();
    if (message.has("name")) parsed.name = message.member("name").text();
  }
  const bool may_lack_content = !parsed.tool_calls.empty() || !parsed.reasoning.empty();
  if (!may_lack_content || message.has("content")) parsed.content = parse_content(message.member("content"));
  return parsed;
}

/// A field that means something and is not supported.
void refuse_other_fields(const JsonReader& message) {
  for (const auto& [name, value] : message.json().items()) {
    const bool is_known = std::ranges::find(kFields, name) != kFields.end();
    const bool is_nothing = value.is_null() || ((value.is_array() || value.is_object()) && value.empty());
    if (!is_known && !is_nothing)
      message.member(name.c_str()).refuse(fmt::format("the field \"{}\" is not supported", name));
  }
}

}  // namespace

std::vector<ChatMessage> parse_messages(const JsonReader& messages) {
  if (messages.json().is_array() && messages.json().empty())
    messages.refuse("the list is empty: one or more messages are needed");
  if (messages.json().is_array() && messages.json().size() > kMostMessages)
    messages.refuse(fmt::format("{} messages are more than the {} that a list may have",
                                messages.json().size(), kMostMessages));
  std::vector<ChatMessage> parsed;
  messages.for_each_item([&](const JsonReader& message) {
    parsed.push_back(parse_message(message));
    refuse_other_fields(message);
  });
  return parsed;
}

}  // namespace kvevict::http
