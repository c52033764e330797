#include "kvevict/strategy_spec.h"

#include <charconv>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/policy.h"

namespace kvevict {
namespace {

constexpr std::string_view kGrammar = "name[:sink[:recent[:budget]]][:key=value...]";

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "the strategy \"" + std::string(text) + "\" " + why);
}

std::vector<std::string_view> split_at_colons(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t from = 0;;) {
    const std::size_t colon = text.find(':', from);
    parts.push_back(text.substr(from, colon - from));
    if (colon == std::string_view::npos) return parts;
    from = colon + 1;
  }
}

std::int64_t parse_count(std::string_view text, std::string_view value) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || stop != value.data() + value.size()) {
    refuse(text, "has \"" + std::string(value) + "\" where a whole number of tokens is needed (" +
                     std::string(kGrammar) + ")");
  }
  return number;
}

std::int64_t* value_by_key(StrategySpec& spec, std::string_view key) {
  if (key == "sink") return &spec.config.sink_tokens;
  if (key == "recent") return &spec.config.recent_tokens;
  if (key == "budget") return &spec.config.middle_budget_tokens;
  if (key == "stride") return &spec.config.uniform_stride;
  if (key == "block") return &spec.block_n;
  return nullptr;
}

void refuse_unused(std::string_view text, const PolicyInfo& info, std::string_view key) {
  const bool of_middle = key == "budget" || key == "stride" || key == "block";
  if (of_middle ? info.uses_middle : info.uses_sink_and_recent) return;
  refuse(text,
         "gives a value for \"" + std::string(key) + "\", which " + std::string(info.name) + " does not use");
}

}  // namespace

StrategySpec parse_strategy(std::string_view text) {
  const std::vector<std::string_view> parts = split_at_colons(text);
  const PolicyInfo& info = policy_info(parts.front());
  StrategySpec spec{std::string(info.name), info.defaults, kDefaultBlockTokens};
  constexpr std::string_view kPositional[] = {"sink", "recent", "budget"};
  std::size_t n_positional = 0;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::size_t equals = parts[i].find('=');
    std::string_view key;
    if (equals != std::string_view::npos) {
      key = parts[i].substr(0, equals);
      n_positional = std::size(kPositional);
    } else if (n_positional < std::size(kPositional)) {
      key = kPositional[n_positional++];
    } else {
      refuse(text, "has \"" + std::string(parts[i]) + "\" where key=value is needed (" +
                       std::string(kGrammar) + ")");
    }
    std::int64_t* const value = value_by_key(spec, key);
    if (value == nullptr) {
      refuse(text, "has the unknown key \"" + std::string(key) +
                       "\": sink, recent, budget, stride and block are known");
    }
    refuse_unused(text, info, key);
    *value = parse_count(text, equals == std::string_view::npos ? parts[i] : parts[i].substr(equals + 1));
  }
  validate(spec.config, spec.block_n);
  return spec;
}

std::string to_string(const StrategySpec& spec) {
  const PolicyInfo& info = policy_info(spec.name);
  std::string text = spec.name;
  if (!info.uses_sink_and_recent) return text;
  text += ":" + std::to_string(spec.config.sink_tokens) + ":" + std::to_string(spec.config.recent_tokens);
  if (!info.uses_middle) return text;
  if (spec.config.uniform_stride > 0) {
    text += ":stride=" + std::to_string(spec.config.uniform_stride);
  } else {
    text += ":" + std::to_string(spec.config.middle_budget_tokens);
  }
  if (spec.block_n != kDefaultBlockTokens) text += ":block=" + std::to_string(spec.block_n);
  return text;
}

}  // namespace kvevict
