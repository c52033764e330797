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
    refuse(text, "has \"" + std::string(value) + "\" where a whole number is needed (" +
                     std::string(kGrammar) + ")");
  }
  return number;
}

const StrategyKey& known_key(std::string_view text, const PolicyInfo& info, std::string_view name) {
  std::string known;
  for (const StrategyKey& key : strategy_keys()) {
    known += (known.empty() ? "" : ", ") + std::string(key.name);
    if (key.name != name) continue;
    if (info.uses(name)) return key;
    refuse(text, "gives a value for \"" + std::string(name) + "\", which " + std::string(info.name) +
                     " does not use");
  }
  refuse(text, "has the unknown key \"" + std::string(name) + "\": known are " + known);
}

void require_in_range(std::string_view field, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument, std::string(field) + " is " + std::to_string(value) +
                                               ": a number from " + std::to_string(least) + " to " +
                                               std::to_string(most) + " is needed");
}

}  // namespace

std::span<const StrategyKey> strategy_keys() {
  using Spec = StrategySpec;
  static constexpr StrategyKey kKeys[] = {
      {"sink", "sink_tokens", [](Spec& s) -> std::int64_t& { return s.config.sink_tokens; }},
      {"recent", "recent_tokens", [](Spec& s) -> std::int64_t& { return s.config.recent_tokens; }},
      {"budget", "middle_budget", [](Spec& s) -> std::int64_t& { return s.config.middle_budget_tokens; }},
      {"stride", "uniform_stride", [](Spec& s) -> std::int64_t& { return s.config.uniform_stride; }},
      {"block", "block_n", [](Spec& s) -> std::int64_t& { return s.block_n; }},
      {"span", "span", [](Spec& s) -> std::int64_t& { return s.span; }},
      {"overlap", "overlap", [](Spec& s) -> std::int64_t& { return s.overlap; }},
      {"layers", "layers", [](Spec& s) -> std::int64_t& { return s.layers; }},
      {"per_layer", "per_layer", [](Spec& s) -> std::int64_t& { return s.per_layer; }},
      {"window", "window", [](Spec& s) -> std::int64_t& { return s.window; }},
      {"pool", "pool", [](Spec& s) -> std::int64_t& { return s.pool; }}};
  return kKeys;
}

void validate(const StrategySpec& spec) {
  validate(spec.config, spec.block_n);
  require_in_range("span", spec.span, 0, kMaxLayers);
  require_in_range("overlap", spec.overlap, 0, kMaxLayers);
  require_in_range("layers", spec.layers, 0, kMaxLayers);
  require_in_range("per_layer", spec.per_layer, 0, 1);
  require_in_range("window", spec.window, 1, kMaxTokens);
  require_in_range("pool", spec.pool, 1, kMaxTokens);
  if (spec.pool % 2 == 0) {
    throw Error(ErrorCode::kInvalidArgument, "pool is " + std::to_string(spec.pool) +
                                                 ": an odd number is needed, a token and as many neighbours "
                                                 "on either side");
  }
}

StrategySpec parse_strategy(std::string_view text) {
  const std::vector<std::string_view> parts = split_at_colons(text);
  const PolicyInfo& info = policy_info(parts.front());
  StrategySpec spec{.name = std::string(info.name), .config = info.defaults};
  constexpr std::size_t kMostPositional = 3;
  std::size_t n_positional = 0;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::size_t equals = parts[i].find('=');
    std::string_view key;
    if (equals != std::string_view::npos) {
      key = parts[i].substr(0, equals);
      n_positional = kMostPositional;
    } else if (n_positional < kMostPositional) {
      key = strategy_keys()[n_positional++].name;
    } else {
      refuse(text, "has \"" + std::string(parts[i]) + "\" where key=value is needed (" +
                       std::string(kGrammar) + ")");
    }
    known_key(text, info, key).value(spec) =
        parse_count(text, equals == std::string_view::npos ? parts[i] : parts[i].substr(equals + 1));
  }
  validate(spec);
  return spec;
}

std::string to_string(const StrategySpec& spec) {
  const PolicyInfo& info = policy_info(spec.name);
  std::string text = spec.name;
  const bool has_stride = info.uses("stride") && spec.config.uniform_stride > 0;
  for (const StrategyKey& key : strategy_keys()) {
    if (!info.uses(key.name)) continue;
    const std::int64_t value = key.value_of(spec);
    const std::string named = ":" + std::string(key.name) + "=" + std::to_string(value);
    if (key.name == "sink" || key.name == "recent" || (key.name == "budget" && !has_stride)) {
      text += ":" + std::to_string(value);
    } else if (key.name != "budget" && value != key.value_of({})) {
      text += named;
    }
  }
  return text;
}

}  // namespace kvevict
