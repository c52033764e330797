#include "kvevict/strategy_spec.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/registry.h"

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
    refuse(text, "has \"" + std::string(value) + "\" where a whole number is needed (" +
                     std::string(kGrammar) + ")");
  }
  return number;
}

std::int64_t parse_value(std::string_view text, const StrategyKey& key, std::string_view value) {
  if (key.words.empty()) return parse_count(text, value);
  std::string known;
  for (std::int64_t number = key.least; number <= key.most; ++number) {
    if (key.text_of(number) == value) return number;
    known += (known.empty() ? "" : " or ") + key.text_of(number);
  }
  refuse(text, "has \"" + std::string(value) + "\" for " + key.name + ": " + known + " is needed");
}

const StrategyKey& known_key(std::string_view text, const std::vector<StrategyKey>& keys,
                             const PolicyInfo& info, std::string_view name) {
  std::string known;
  for (const StrategyKey& key : keys) {
    known += (known.empty() ? "" : ", ") + key.name;
    if (key.name != name) continue;
    if (info.uses(name)) return key;
    refuse(text, "gives a value for \"" + std::string(name) + "\", which " + info.name + " does not use");
  }
  refuse(text, "has the unknown key \"" + std::string(name) + "\": known are " + known);
}

/// The strategy with all of its defaults.
StrategySpec default_spec(const PolicyInfo& info, const std::vector<StrategyKey>& keys) {
  StrategySpec spec{.name = info.name, .config = info.defaults};
  for (const StrategyKey& key : info.own_keys) key.value(spec) = key.otherwise;
  for (const StrategyKey& key : keys) {
    if (const auto own = info.other_defaults.find(key.name); own != info.other_defaults.end())
      key.value(spec) = own->second;
  }
  return spec;
}

}  // namespace

StrategySpec parse_strategy(std::string_view text) {
  const std::vector<std::string_view> parts = split_at_colons(text);
  const PolicyInfo& info = policy_info(parts.front());
  const std::vector<StrategyKey> keys = strategy_keys();
  StrategySpec spec = default_spec(info, keys);
  constexpr std::size_t kMostPositional = 3;
  std::size_t n_positional = 0;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::size_t equals = parts[i].find('=');
    std::string_view key;
    if (equals != std::string_view::npos) {
      key = parts[i].substr(0, equals);
      n_positional = kMostPositional;
    } else if (n_positional < kMostPositional) {
      key = keys[n_positional++].name;
    } else {
      refuse(text, "has \"" + std::string(parts[i]) + "\" where key=value is needed (" +
                       std::string(kGrammar) + ")");
    }
    const StrategyKey& known = known_key(text, keys, info, key);
    known.value(spec) =
        parse_value(text, known, equals == std::string_view::npos ? parts[i] : parts[i].substr(equals + 1));
  }
  validate(spec);
  return spec;
}

std::string to_string(const StrategySpec& spec) {
  const PolicyInfo& info = policy_info(spec.name);
  std::string text = spec.name;
  const bool has_stride = info.uses("stride") && spec.config.uniform_stride > 0;
  const std::vector<StrategyKey> keys = strategy_keys();
  const StrategySpec usual = default_spec(info, keys);
  for (const StrategyKey& key : keys) {
    if (!info.uses(key.name)) continue;
    const std::int64_t value = key.value_of(spec);
    const std::string named = ":" + key.name + "=" + key.text_of(value);
    if (key.name == "sink" || key.name == "recent" || (key.name == "budget" && !has_stride)) {
      text += ":" + std::to_string(value);
    } else if (key.name != "budget" && value != key.value_of(usual)) {
      text += named;
    }
  }
  return text;
}

void set_total_budget(StrategySpec& spec, std::int64_t n_tokens) {
  const PolicyInfo& info = policy_info(spec.name);
  const bool has_middle = info.uses("budget");
  if (!has_middle && !info.uses("recent")) {
    throw Error(ErrorCode::kInvalidArgument,
                spec.name + " has no count of tokens that a budget could set: it cannot be limited",
                "budget");
  }
  SimpleEvictConfig& config = spec.config;
  if (info.halves_total_budget && config.recent_tokens == info.defaults.recent_tokens)
    config.recent_tokens = std::max<std::int64_t>(1, n_tokens / 2);
  const std::int64_t n_fixed = config.sink_tokens + (has_middle ? config.recent_tokens : 0);
  const std::int64_t n_least = n_fixed + (has_middle ? 0 : 1);
  if (n_tokens < n_least) {
    throw Error(ErrorCode::kInvalidArgument,
                "a budget of " + std::to_string(n_tokens) + " tokens in all is too small for " + spec.name +
                    ": its sink" + (has_middle ? " and recent window" : " and newest token") + " alone are " +
                    std::to_string(n_least) + " tokens",
                "budget");
  }
  (has_middle ? config.middle_budget_tokens : config.recent_tokens) = n_tokens - n_fixed;
  if (has_middle) config.uniform_stride = 0;
}

}  // namespace kvevict
