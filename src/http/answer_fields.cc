#include "http/answer_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

#include "http/json_body.h"
#include "http/unused_fields.h"
#include "kvevict/error.h"

namespace kvevict::http {
namespace {

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

bool may_be_in_a_name(char c) {
  constexpr std::string_view kOthers = "-_.:";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOthers.find(c) != std::string_view::npos;
}

}  // namespace

std::optional<JsonReader> field(const JsonReader& body, const char* name) {
  return body.has(name) ? std::optional(body.member(name)) : std::nullopt;
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

void read_stream(const JsonReader& body, bool& is_streamed, bool& includes_usage) {
  is_streamed = flag(body, "stream");
  const auto options = field(body, "stream_options");
  if (!options) return;
  if (!options->json().is_object()) options->refuse("an object {…} is needed");
  if (!is_streamed) options->refuse("it is there for streams alone: set \"stream\" to true");
  refuse_fields_beside({"include_usage"}, *options, [](const JsonReader::Json& value) {
    return value.is_null() || value == JsonReader::Json(false);
  });
  includes_usage = flag(*options, "include_usage");
}

void read_extension(const JsonReader& body, serving::ChatRequest& request) {
  constexpr std::size_t kLongestName = 128;
  const auto extension = field(body, "kvevict");
  if (!extension) return;
  if (!extension->json().is_object()) extension->refuse("an object {…} is needed");
  refuse_fields_beside({"conversation", "strategy"}, *extension,
                       [](const JsonReader::Json&) { return false; });
  if (const auto name = field(*extension, "conversation")) {
    request.conversation = name->text();
    if (request.conversation.empty() || request.conversation.size() > kLongestName ||
        !std::ranges::all_of(request.conversation, may_be_in_a_name))
      name->refuse(fmt::format("a name of 1 to {} letters, digits, \"-\", \"_\", \".\" and \":\" is needed",
                               kLongestName));
  }
  if (const auto strategy = field(*extension, "strategy")) request.strategy = strategy->text();
}

}  // namespace kvevict::http
