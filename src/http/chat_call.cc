#include "http/chat_call.h"

#include <fmt/format.h>

#include <array>

#include "http/answer_fields.h"
#include "http/chat_messages.h"
#include "http/chat_tools.h"
#include "http/json_body.h"
#include "http/unused_fields.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"

namespace kvevict::http {
namespace {

/// Beside those of every path.
constexpr std::array<std::string_view, 8> kChatFields = {
    "messages",    "max_completion_tokens", "top_logprobs",     "tools",
    "tool_choice", "parallel_tool_calls",   "reasoning_format", "response_format"};

std::optional<std::int64_t> length(const JsonReader& body) {
  const auto newer = whole_number(body, "max_completion_tokens", 1, kLongestAnswer);
  const auto older = whole_number(body, "max_tokens", 1, kLongestAnswer);
  if (newer && older && *newer != *older)
    body.member("max_tokens").refuse("max_completion_tokens says another number: give one of them");
  return newer ? newer : older;
}

std::string grammar_of(const JsonReader& schema) {
  if (!schema.json().is_object()) schema.refuse("a JSON schema, which is an object {…}, is needed");
  const std::string text = schema.json().dump();
  if (text.size() > kLongestSchema)
    schema.refuse(fmt::format("the schema has more than {} bytes", kLongestSchema));
  try {
    return grammar_of_json_schema(text);
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), "response_format");
  }
}

void read_format(const JsonReader& body, std::string& grammar) {
  const auto format = field(body, "response_format");
  if (!format) return;
  const JsonReader type = format->member("type");
  if (type.text() == "text") {
    grammar.clear();
  } else if (type.text() == "json_object") {
    const auto schema = field(*format, "schema");  // as llama.cpp's server has it
    grammar = schema ? grammar_of(*schema) : grammar_of_json_schema(R"({"type":"object"})");
  } else if (type.text() == "json_schema") {
    grammar = grammar_of(format->member("json_schema").member("schema"));
  } else {
    type.refuse(fmt::format("\"{}\" is no format: text, json_object or json_schema is needed", type.text()));
  }
}

void read_logprobs(const JsonReader& body, ChatCall& call) {
  call.has_logprobs = flag(body, "logprobs");
  const auto n_best = whole_number(body, "top_logprobs", 0, kMostBest);
  if (!n_best) return;
  if (!call.has_logprobs && *n_best > 0)
    body.member("top_logprobs").refuse("it is there beside \"logprobs\" alone: set that to true");
  call.request.form.n_best = static_cast<int>(*n_best);
}

/// The functions go with the first message, and how they may be called into the call's format.
void read_tools(const JsonReader& body, ChatCall& call) {
  call.format = parse_tool_choice(body);
  call.format.separates_reasoning = parse_reasoning_format(body);
  if (!has_tools(body)) return;
  if (call.format.tool_choice != ToolChoice::kNone && !call.request.form.grammar.empty())
    body.member("tools").refuse(
        "calls of functions have a form of their own, and this answer has another (\"response_format\", or "
        "the "
        "server's): leave one of them out, or set \"tool_choice\" to \"none\"");
  call.request.messages.front().tools = parse_tools(body.member("tools"));
}

}  // namespace

ChatCall parse_chat_call(std::string_view text, const AnswerDefaults& defaults) {
  const JsonReader::Json json = parse_body(text);
  const JsonReader body(json, "");
  refuse_unused_fields(body, kChatFields);
  ChatCall call{.request = {.form = defaults.form}};
  AnswerOptions& form = call.request.form;
  call.request.messages = parse_messages(body.member("messages"));
  if (const auto model = field(body, "model")) (void)model->text();
  read_stream(body, call.is_streamed, call.includes_usage);
  read_sampling(body, defaults, form.sampling);
  form.max_new_tokens = length(body).value_or(form.max_new_tokens);
  read_stops(body, form.stop);
  read_format(body, form.grammar);
  read_logprobs(body, call);
  call.n_choices = static_cast<int>(whole_number(body, "n", 1, kMostChoices).value_or(1));
  read_extension(body, call.request);
  read_tools(body, call);
  if (form.sampling.ignores_end && !form.grammar.empty()) form.sampling.ignores_end = false;
  return call;
}

}  // namespace kvevict::http
