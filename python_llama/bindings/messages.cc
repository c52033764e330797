#include "messages.h"

#include <nanobind/stl/string.h>

#include "engine.h"
#include "http/chat_messages.h"
#include "http/chat_tools.h"
#include "http/json_body.h"

namespace kvevict::python {
namespace {

using http::parse_body;
using Json = JsonReader::Json;

void require_dicts(const nb::list& list) {
  std::size_t index = 0;
  for (const nb::handle item : list) {
    if (!nb::isinstance<nb::dict>(item)) {
      throw nb::type_error(
          ("messages[" + std::to_string(index) + "] is no dict: {\"role\": ..., \"content\": ...} is needed")
              .c_str());
    }
    ++index;
  }
}

/// Python's own writer of JSON knows what a dict may hold.
Json json_of(const nb::dict& body) {
  return parse_body(nb::cast<std::string>(nb::module_::import_("json").attr("dumps")(body)));
}

nb::dict to_dict(const ToolCall& call) {
  nb::dict function, made;
  function["name"] = to_str(call.name);
  function["arguments"] = to_str(call.arguments);
  made["id"] = to_str(call.id);
  made["type"] = "function";
  made["function"] = function;
  return made;
}

}  // namespace

AskedMessages asked_from(const nb::list& list, const nb::object& tools, const nb::object& tool_choice) {
  require_dicts(list);
  nb::dict fields;
  fields["messages"] = list;
  if (!tools.is_none()) fields["tools"] = tools;
  if (!tool_choice.is_none()) fields["tool_choice"] = tool_choice;
  const Json json = json_of(fields);
  const JsonReader body(json, "");
  AskedMessages asked{.messages = http::parse_messages(body.member("messages")),
                      .format = http::parse_tool_choice(body)};
  if (http::has_tools(body)) asked.messages.front().tools = http::parse_tools(body.member("tools"));
  return asked;
}

std::vector<ChatMessage> messages_from(const nb::list& list) {
  return asked_from(list, nb::none(), nb::none()).messages;
}

nb::dict to_dict(const ChatMessage& answer) {
  nb::dict made;
  made["role"] = "assistant";
  const bool has_calls = !answer.tool_calls.empty();
  made["content"] = has_calls && answer.content.empty() ? nb::object(nb::none()) : to_str(answer.content);
  if (!answer.reasoning.empty()) made["reasoning_content"] = to_str(answer.reasoning);
  if (!has_calls) return made;
  nb::list calls;
  for (const ToolCall& call : answer.tool_calls) calls.append(to_dict(call));
  made["tool_calls"] = calls;
  return made;
}

}  // namespace kvevict::python
