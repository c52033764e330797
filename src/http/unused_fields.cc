#include "http/unused_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "kvevict/error.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// Of bodies of every path.
constexpr std::array<std::string_view, 20> kRead = {"model",
                                                    "stream",
                                                    "stream_options",
                                                    "max_tokens",
                                                    "temperature",
                                                    "top_p",
                                                    "top_k",
                                                    "min_p",
                                                    "repeat_penalty",
                                                    "presence_penalty",
                                                    "frequency_penalty",
                                                    "logit_bias",
                                                    "logprobs",
                                                    "n",
                                                    "seed",
                                                    "stop",
                                                    "kvevict",
                                                    "user",
                                                    "safety_identifier",
                                                    "prompt_cache_key"};

bool is_text(const Json& value) {
  return value.is_string();
}
bool is_false(const Json& value) {
  return value == Json(false);
}
bool is_one(const Json& value) {
  return value == Json(1);
}
bool is_empty(const Json& value) {
  return (value.is_array() || value.is_object()) && value.empty();
}

struct Unused {
  std::string_view name;
  bool (*asks_for_nothing)(const Json& value);
  std::string_view advice;  // what would be right
};

constexpr std::array<Unused, 6> kUnused = {{
    {"best_of", is_one, "all of the \"n\" answers are given"},
    {"functions", is_empty, "\"tools\" is what there is"},
    {"store", is_false, "leave it out, or set it to false"},
    {"metadata", is_empty, "leave it out"},
    {"service_tier", is_text, "leave it out"},
    {"modalities", [](const Json& value) { return value == Json({"text"}); }, "[\"text\"] is what there is"},
}};

}  // namespace

void refuse_unused_fields(const JsonReader& body, std::span<const std::string_view> read) {
  for (const auto& [name, value] : body.json().items()) {
    if (value.is_null() || std::ranges::find(kRead, name) != kRead.end()) continue;
    if (std::ranges::find(read, name) != read.end()) continue;
    const auto* const unused = std::ranges::find(kUnused, name, &Unused::name);
    if (unused != kUnused.end() && unused->asks_for_nothing(value)) continue;
    const std::string advice = unused == kUnused.end() ? "leave it out" : std::string(unused->advice);
    throw Error(ErrorCode::kBadData, fmt::format("the field \"{}\" is not supported: {}", name, advice),
                name);
  }
}

void refuse_fields_beside(std::initializer_list<std::string_view> known, const JsonReader& object,
                          AsksForNothing asks_for_nothing) {
  for (const auto& [name, value] : object.json().items()) {
    if (std::ranges::find(known, name) == known.end() && !asks_for_nothing(value))
      object.member(name.c_str()).refuse(fmt::format("no such field: there is {}", fmt::join(known, ", ")));
  }
}

}  // namespace kvevict::http
