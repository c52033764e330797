#include "http/chat_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "http/json_body.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

bool is_function_name(std::string_view name) {
  constexpr std::string_view kOthers = "-_";
  const auto is_right = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= kLongestFunctionName && std::ranges::all_of(name, is_right);
}

Json parse_tool(const JsonReader& tool) {
  const JsonReader type = tool.member("type");
  if (type.text() != "function")
    type.refuse(fmt::format(
        "tools of the type \"{}\" are not supported: this server takes \"function\" alone", type.text()));
  const JsonReader function = tool.member("function");
  const JsonReader name = function.member("name");
  if (!is_function_name(name.text()))
    name.refuse(
        fmt::format("a name of 1 to {} letters, digits, \"-\" and \"_\" is needed", kLongestFunctionName));
  Json made = {{"name", name.text()},
               {"description", function.has("description") ? function.member("description").text() : ""},
               {"parameters", {{"type", "object"}, {"properties", Json::object()}}}};
  if (function.has("parameters")) {
    const JsonReader parameters = function.member("parameters");
    if (!parameters.json().is_object()) parameters.refuse("a JSON schema, which is an object {…}, is needed");
    if (!parameters.json().empty()) made["parameters"] = parameters.json();
  }
  return {{"type", "function"}, {"function", std::move(made)}};
}

/// The function that must be called.
std::string parse_function(const JsonReader& choice, const JsonReader& body) {
  if (choice.member("type").text() != "function")
    choice.member("type").refuse("\"function\" is needed: others cannot be chosen");
  const JsonReader name = choice.member("function").member("name");
  bool is_there = false;
  if (has_tools(body)) {
    body.member("tools").for_each_item([&](const JsonReader& tool) {
      is_there = is_there || tool.member("function").member("name").text() == name.text();
    });
  }
  if (!is_there) name.refuse(fmt::format("there is no function \"{}\" among the tools", name.text()));
  return name.text();
}

}  // namespace

bool has_tools(const JsonReader& body) {
  if (!body.has("tools")) return false;
  const JsonReader tools = body.member("tools");
  return !tools.json().is_array() || !tools.json().empty();
}

std::string parse_tools(const JsonReader& tools) {
  Json all = Json::array();
  std::set<std::string> names;
  tools.for_each_item([&](const JsonReader& tool) {
    all.push_back(parse_tool(tool));
    const JsonReader name = tool.member("function").member("name");
    if (!names.insert(name.text()).second)
      name.refuse(fmt::format("there are two functions \"{}\": each needs a name of its own", name.text()));
  });
  if (all.size() > kMostTools)
    tools.refuse(
        fmt::format("{} functions are more than the {} that a request may have", all.size(), kMostTools));
  std::string text = json_text(all);
  if (text.size() > kLongestTools)
    tools.refuse(fmt::format("the functions have more than {} bytes", kLongestTools));
  return text;
}

AnswerFormatOptions parse_tool_choice(const JsonReader& body) {
  AnswerFormatOptions options;
  if (body.has("parallel_tool_calls")) options.parallel_calls = flag(body, "parallel_tool_calls");
  if (!body.has("tool_choice")) return options;
  const JsonReader choice = body.member("tool_choice");
  if (choice.json().is_object()) {
    options.tool_choice = ToolChoice::kRequired;
    options.function = parse_function(choice, body);
    return options;
  }
  const std::string word = choice.text();
  if (word == "none") {
    options.tool_choice = ToolChoice::kNone;
  } else if (word == "required") {
    if (!has_tools(body)) choice.refuse("a call is required, and there are no tools: \"tools\" names some");
    options.tool_choice = ToolChoice::kRequired;
  } else if (word != "auto") {
    choice.refuse(fmt::format("\"{}\" is no choice: none, auto, required or a function is needed", word));
  }
  return options;
}

bool parse_reasoning_format(const JsonReader& body) {
  if (!body.has("reasoning_format")) return true;
  const JsonReader format = body.member("reasoning_format");
  const std::string word = format.text();
  if (word != "none" && word != "auto" && word != "deepseek")
    format.refuse(fmt::format("\"{}\" is no format: none, auto or deepseek is needed", word));
  return word != "none";
}

}  // namespace kvevict::http
