#include "runtime/message_json.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace kvevict {
namespace {

using Json = nlohmann::json;

struct TextField {
  const char* name;
  std::string ChatMessage::*text;
};

constexpr TextField kTextFields[] = {{"reasoning", &ChatMessage::reasoning},
                                     {"tool_call_id", &ChatMessage::tool_call_id},
                                     {"name", &ChatMessage::name},
                                     {"tools", &ChatMessage::tools}};

}  // namespace

Json message_json(const ChatMessage& message) {
  Json json = {{"role", message.role}, {"content", message.content}};
  for (const TextField& field : kTextFields) {
    if (const std::string& text = message.*field.text; !text.empty()) json[field.name] = text;
  }
  for (const ToolCall& call : message.tool_calls)
    json["tool_calls"].push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
  return json;
}

ChatMessage message_from_json(const Json& json) {
  ChatMessage message{json.at("role"), json.at("content")};
  for (const TextField& field : kTextFields) message.*field.text = json.value(field.name, "");
  for (const Json& call : json.value("tool_calls", Json::array()))
    message.tool_calls.push_back(
        {.id = call.at("id"), .name = call.at("name"), .arguments = call.at("arguments")});
  return message;
}

}  // namespace kvevict
