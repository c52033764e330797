#include "http/chat_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace kvevict::http {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};
constexpr std::array<std::string_view, 4> kFields = {"role", "content", "name", "tool_call_id"};

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

/// A field that means something and is not supported, such as an answer's calls of tools.
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
    std::string role = parse_role(message.member("role"));
    refuse_other_fields(message);
    parsed.push_back({std::move(role), parse_content(message.member("content"))});
  });
  return parsed;
}

}  // namespace kvevict::http
