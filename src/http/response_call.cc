// A body of /v1/responses is read as the body of /v1/chat/completions that says the same.
#include "http/response_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "http/answer_fields.h"
#include "http/json_body.h"
#include "kvevict/error.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// Fields of both paths.
constexpr std::array<std::string_view, 17> kSameFields = {"model",
                                                          "stream",
                                                          "temperature",
                                                          "top_p",
                                                          "top_k",
                                                          "min_p",
                                                          "repeat_penalty",
                                                          "seed",
                                                          "presence_penalty",
                                                          "frequency_penalty",
                                                          "logit_bias",
                                                          "stop",
                                                          "user",
                                                          "parallel_tool_calls",
                                                          "kvevict",
                                                          "safety_identifier",
                                                          "prompt_cache_key"};

/// Read here, or without a meaning for a cache that has no window.
constexpr std::array<std::string_view, 11> kOwnFields = {
    "input", "instructions", "previous_response_id", "max_output_tokens", "tools", "tool_choice", "text",
    "store", "metadata",     "truncation",           "service_tier"};

/// Other names than those of the chat's body, for errors.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kOtherNames = {
    {{"max_tokens", "max_output_tokens"},
     {"response_format.json_schema", "text.format"},
     {"response_format", "text.format"},
     {"messages", "input"}}};

bool asks_for_nothing(const Json& value) {
  if (value.is_object() || value.is_array()) return std::all_of(value.begin(), value.end(), asks_for_nothing);
  return value.is_null() || value == Json(false);
}

void refuse_other_fields_of(const JsonReader& body) {
  for (const auto& [name, value] : body.json().items()) {
    const bool is_read = std::ranges::find(kSameFields, name) != kSameFields.end() ||
                         std::ranges::find(kOwnFields, name) != kOwnFields.end();
    if (!is_read && !asks_for_nothing(value))
      throw Error(ErrorCode::kBadData, fmt::format("the field \"{}\" is not supported: leave it out", name),
                  name);
  }
}

/// A text, or parts of texts.
std::string text_of_parts(const JsonReader& content, std::string_view kinds) {
  if (!content.json().is_array()) return content.text();
  std::string text;
  content.for_each_item([&](const JsonReader& part) {
    const JsonReader type = part.member("type");
    if (kinds.find(type.text()) == std::string_view::npos)
      type.refuse(
          fmt::format("parts of the type \"{}\" are not supported: {} is needed", type.text(), kinds));
    text += part.member("text").text();
  });
  return text;
}

/// The answer that an item belongs to: an answer is a message, thoughts and calls, each an item.
Json& answer_of(Json& messages, bool may_be_the_last) {
  if (!may_be_the_last || messages.empty() || messages.back()["role"] != "assistant")
    messages.push_back({{"role", "assistant"}, {"content", ""}});
  return messages.back();
}

void add_message(Json& messages, const JsonReader& item) {
  const std::string text = text_of_parts(item.member("content"), "input_text, output_text");
  const JsonReader role = item.member("role");
  if (role.text() != "assistant") {
    messages.push_back({{"role", role.text()}, {"content", text}});
    return;
  }
  const bool has_thoughts_alone = !messages.empty() && messages.back().contains("reasoning_content") &&
                                  messages.back()["content"] == "" && !messages.back().contains("tool_calls");
  answer_of(messages, has_thoughts_alone)["content"] = text;
}

void add_call(Json& messages, const JsonReader& item) {
  Json& answer = answer_of(messages, true);
  if (!answer.contains("tool_calls")) answer["tool_calls"] = Json::array();
  answer["tool_calls"].push_back(
      {{"id", item.member("call_id").text()},
       {"type", "function"},
       {"function", {{"name", item.member("name").text()}, {"arguments", item.member("arguments").text()}}}});
}

void add_item(Json& messages, const JsonReader& item) {
  const std::string type = item.has("type") ? item.member("type").text() : "message";
  if (type == "message") return add_message(messages, item);
  if (type == "function_call") return add_call(messages, item);
  if (type == "function_call_output") {
    messages.push_back({{"role", "tool"},
                        {"tool_call_id", item.member("call_id").text()},
                        {"content", text_of_parts(item.member("output"), "input_text, output_text")}});
    return;
  }
  if (type == "reasoning") {
    if (item.has("content"))
      answer_of(messages, false)["reasoning_content"] =
          text_of_parts(item.member("content"), "reasoning_text");
    return;
  }
  item.member("type").refuse(
      fmt::format("items of the type \"{}\" are not supported: message, function_call, function_call_output "
                  "or reasoning is "
                  "needed",
                  type));
}

Json messages_of(const JsonReader& input) {
  Json messages = Json::array();
  if (input.json().is_string()) {
    messages.push_back({{"role", "user"}, {"content", input.text()}});
  } else {
    input.for_each_item([&](const JsonReader& item) { add_item(messages, item); });
  }
  if (messages.empty()) input.refuse("a text, or one item or more, is needed");
  return messages;
}

/// A function's description stands in the tool itself here, and one level below in a chat's body.
Json tools_of(const JsonReader& tools) {
  Json all = Json::array();
  tools.for_each_item([&](const JsonReader& tool) {
    Json function = tool.json();
    if (tool.member("type").text() == "function") function.erase("type");
    all.push_back({{"type", tool.member("type").text()}, {"function", std::move(function)}});
  });
  return all;
}

Json choice_of(const JsonReader& choice) {
  if (!choice.json().is_object()) return choice.json();
  return {{"type", choice.member("type").text()}, {"function", {{"name", choice.member("name").text()}}}};
}

Json format_of(const JsonReader& text) {
  for (const auto& [name, value] : text.json().items()) {
    if (name != "format" && !asks_for_nothing(value))
      text.member(name.c_str()).refuse("it is not supported: leave it out");
  }
  const auto format = field(text, "format");
  if (!format) return nullptr;
  if (format->member("type").text() != "json_schema") return format->json();
  return {{"type", "json_schema"}, {"json_schema", {{"schema", format->member("schema").json()}}}};
}

Json chat_body_of(const JsonReader& body) {
  Json chat = Json::object();
  for (const std::string_view name : kSameFields) {
    if (const std::string key(name); body.has(key.c_str())) chat[key] = body.json().at(key);
  }
  chat["messages"] = messages_of(body.member("input"));
  if (const auto most = field(body, "max_output_tokens")) chat["max_tokens"] = most->integer();
  if (const auto tools = field(body, "tools")) chat["tools"] = tools_of(*tools);
  if (const auto choice = field(body, "tool_choice")) chat["tool_choice"] = choice_of(*choice);
  if (const auto text = field(body, "text")) chat["response_format"] = format_of(*text);
  return chat;
}

/// What clients read back of what they asked for; each is there in OpenAI's responses.
Json echo_of(const JsonReader& body) {
  const auto given = [&](const char* name, Json otherwise) {
    return body.has(name) ? body.json().at(name) : std::move(otherwise);
  };
  Json echo = Json::object();
  for (const char* name :
       {"instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p", "user"})
    echo[name] = given(name, nullptr);
  echo["metadata"] = given("metadata", Json::object());
  echo["parallel_tool_calls"] = given("parallel_tool_calls", true);
  echo["store"] = given("store", true);
  echo["text"] = given("text", {{"format", {{"type", "text"}}}});
  echo["tool_choice"] = given("tool_choice", "auto");
  echo["tools"] = given("tools", Json::array());
  echo["truncation"] = given("truncation", "disabled");
  return echo;
}

Error renamed(const Error& error) {
  std::string name = error.field();
  for (const auto& [from, to] : kOtherNames) {
    if (!name.starts_with(from)) continue;
    name.replace(0, from.size(), to);
    break;
  }
  return {error.code(), error.what(), name};
}

}  // namespace

ResponseCall parse_response_call(std::string_view text, const AnswerDefaults& defaults) {
  const Json json = parse_body(text);
  const JsonReader body(json, "");
  refuse_other_fields_of(body);
  ResponseCall call{.is_stored = flag(body, "store", true), .echoed = echo_of(body)};
  if (const auto instructions = field(body, "instructions")) call.instructions = instructions->text();
  if (const auto previous = field(body, "previous_response_id")) call.previous = previous->text();
  try {
    call.chat = parse_chat_call(json_text(chat_body_of(body)), defaults);
  } catch (const Error& error) {
    throw renamed(error);
  }
  return call;
}

void go_on_from(ResponseCall& call, const std::vector<ChatMessage>& history) {
  std::vector<ChatMessage>& messages = call.chat.request.messages;
  std::string tools = std::exchange(messages.front().tools, {});
  messages.insert(messages.begin(), history.begin(), history.end());
  if (!call.instructions.empty()) messages.insert(messages.begin(), {"system", call.instructions});
  messages.front().tools = std::move(tools);
}

}  // namespace kvevict::http
