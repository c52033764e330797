#include "http/chat_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>

#include "http/chat_messages.h"
#include "http/chat_tools.h"
#include "http/json_body.h"
#include "http/unused_fields.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"

namespace kvevict::http {
namespace {

/// The field `name`, if it is there and not null.
std::optional<JsonReader> field(const JsonReader& body, const char* name) {
  return body.has(name) ? std::optional(body.member(name)) : std::nullopt;
}

double number_within(const JsonReader& value, double least, double most) {
  const double number = value.number();
  if (!(number >= least && number <= most))
    value.refuse(
        fmt::format("{} is out of its range: a number from {} to {} is needed", number, least, most));
  return number;
}

void read_number(const JsonReader& body, const char* name, double least, double most, double& number) {
  if (const auto value = field(body, name)) number = number_within(*value, least, most);
}

std::optional<std::int64_t> whole_number(const JsonReader& body, const char* name, std::int64_t least,
                                         std::int64_t most) {
  const auto value = field(body, name);
  if (!value) return std::nullopt;
  const std::int64_t number = value->integer();
  if (number < least || number > most)
    value->refuse(
        fmt::format("{} is out of its range: a whole number from {} to {} is needed", number, least, most));
  return number;
}

std::int32_t token_of(const JsonReader& biases, const std::string& name, std::int32_t n_vocab) {
  std::int32_t token = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, token);
  if (error != std::errc() || stop != end || token < 0 || token >= n_vocab)
    biases.refuse(fmt::format("\"{}\" is no token: a number from 0 to {} is needed", name, n_vocab - 1));
  return token;
}

void read_biases(const JsonReader& body, std::int32_t n_vocab, std::vector<LogitBias>& biases) {
  const auto value = field(body, "logit_bias");
  if (!value) return;
  if (!value->json().is_object()) value->refuse("an object {token: bias} is needed");
  biases.clear();
  for (const auto& [name, ignored] : value->json().items()) {
    const double bias = number_within(value->member(name.c_str()), -100, 100);
    biases.push_back({.token = token_of(*value, name, n_vocab), .bias = bias});
  }
}

void read_sampling(const JsonReader& body, const AnswerDefaults& defaults, SamplingOptions& sampling) {
  constexpr double kSmallest = 1e-6;  // of what must be above 0
  read_number(body, "temperature", 0, 2, sampling.temperature);
  read_number(body, "top_p", kSmallest, 1, sampling.top_p);
  read_number(body, "min_p", 0, 1, sampling.min_p);
  read_number(body, "repeat_penalty", kSmallest, 10, sampling.repeat_penalty);
  read_number(body, "presence_penalty", -2, 2, sampling.presence_penalty);
  read_number(body, "frequency_penalty", -2, 2, sampling.frequency_penalty);
  read_biases(body, defaults.n_vocab, sampling.logit_bias);
  if (const auto top_k = whole_number(body, "top_k", 0, std::numeric_limits<int>::max()))
    sampling.top_k = static_cast<int>(*top_k);
  if (const auto seed = whole_number(body, "seed", 0, std::numeric_limits<std::uint32_t>::max())) {
    sampling.seed = static_cast<std::uint32_t>(*seed);
  } else if (!defaults.has_seed) {
    sampling.seed = std::random_device()();
  }
}

void read_length(const JsonReader& body, std::int64_t& n_tokens) {
  const auto newer = whole_number(body, "max_completion_tokens", 1, kLongestAnswer);
  const auto older = whole_number(body, "max_tokens", 1, kLongestAnswer);
  if (newer && older && *newer != *older)
    body.member("max_tokens").refuse("max_completion_tokens says another number: give one of them");
  n_tokens = newer.value_or(older.value_or(n_tokens));
}

void read_stops(const JsonReader& body, std::vector<std::string>& stops) {
  const auto value = field(body, "stop");
  if (!value) return;
  stops = value->json().is_string() ? std::vector{value->text()} : value->texts();
  if (stops.size() > kMostStops)
    value->refuse(
        fmt::format("{} texts are more than the {} that may end an answer", stops.size(), kMostStops));
  if (std::ranges::find(stops, "") != stops.end())
    value->refuse("an empty text cannot end an answer: one or more characters are needed");
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
    grammar = grammar_of_json_schema(R"({"type":"object"})");
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

bool may_be_in_a_name(char c) {
  constexpr std::string_view kOthers = "-_.:";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOthers.find(c) != std::string_view::npos;
}

/// The object "kvevict": which conversation, by which strategy.
void read_extension(const JsonReader& body, serving::ChatRequest& request) {
  constexpr std::size_t kLongestName = 128;
  const auto extension = field(body, "kvevict");
  if (!extension) return;
  if (!extension->json().is_object()) extension->refuse("an object {…} is needed");
  for (const auto& [name, value] : extension->json().items()) {
    if (name != "conversation" && name != "strategy")
      extension->member(name.c_str()).refuse("no such field: conversation and strategy are known");
  }
  if (const auto name = field(*extension, "conversation")) {
    request.conversation = name->text();
    if (request.conversation.empty() || request.conversation.size() > kLongestName ||
        !std::ranges::all_of(request.conversation, may_be_in_a_name))
      name->refuse(fmt::format("a name of 1 to {} letters, digits, \"-\", \"_\", \".\" and \":\" is needed",
                               kLongestName));
  }
  if (const auto strategy = field(*extension, "strategy")) request.strategy = strategy->text();
}

}  // namespace

ChatCall parse_chat_call(std::string_view text, const AnswerDefaults& defaults) {
  const JsonReader::Json json = parse_body(text);
  const JsonReader body(json, "");
  refuse_unused_fields(body);
  ChatCall call{.request = {.form = defaults.form}};
  AnswerOptions& form = call.request.form;
  call.request.messages = parse_messages(body.member("messages"));
  if (const auto model = field(body, "model")) (void)model->text();
  call.is_streamed = flag(body, "stream");
  if (const auto options = field(body, "stream_options")) {
    if (!call.is_streamed) options->refuse("it is there for streams alone: set \"stream\" to true");
    call.includes_usage = flag(*options, "include_usage");
  }
  read_sampling(body, defaults, form.sampling);
  read_length(body, form.max_new_tokens);
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
