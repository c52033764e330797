#include "cli/strategy_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cli/flags.h"
#include "cli/strategy_file.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "kvevict/simple_evict.h"

namespace kvevict::cli {
namespace {

void note_empty_middle(const StrategySpec& spec) {
  const SimpleEvictConfig& config = spec.config;
  if (!policy_info(spec.name).uses("stride") || config.uniform_stride > 0 || config.middle_budget_tokens > 0)
    return;
  spdlog::warn(
      "{} with a middle budget of 0 keeps no middle token, as sink_recent does: give --middle_budget or "
      "--uniform_stride",
      spec.name);
}

void note_unused(std::string_view flag, const std::vector<StrategySpec>& specs) {
  spdlog::warn("--{} is not used by {}", flag, specs.size() == 1 ? specs[0].name : "any of the strategies");
}

/// Writes the single flags into the specs that use them; says which flags none of them uses.
void apply_single_flags(const StrategyFlags& flags, std::vector<StrategySpec>& specs) {
  for (const StrategyKey& key : strategy_keys()) {
    const std::optional<std::int64_t> value = flags.given(key.name);
    if (!value) continue;
    bool is_used = false;
    for (StrategySpec& spec : specs) {
      if (!policy_info(spec.name).uses(key.name)) continue;
      key.value(spec) = *value;
      is_used = true;
    }
    if (!is_used) note_unused(key.long_name, specs);
  }
}

/// `--budget`: over the other values, so that it is refused beside those that it sets.
void apply_budget(const StrategyFlags& flags, std::vector<StrategySpec>& specs) {
  if (!flags.budget) return;
  if (flags.given("budget") || flags.given("stride")) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--budget and --{} are both given: --budget sets the middle from what the sink and "
                    "the recent window leave",
                    flags.given("budget") ? "middle_budget" : "uniform_stride"));
  }
  bool is_used = false;
  for (StrategySpec& spec : specs) {
    const PolicyInfo& info = policy_info(spec.name);
    if (!info.uses("recent")) continue;
    if (flags.given("recent") && !info.uses("budget")) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("--budget and --recent_tokens are both given: {} has nothing else besides its sink",
                      spec.name));
    }
    if (flags.has_auto_sink) spec.config.sink_tokens = 0;  // the command counts it, and sets the budget then
    set_total_budget(spec, *flags.budget);
    is_used = true;
  }
  if (!is_used) note_unused("budget", specs);
}

}  // namespace

std::int64_t layers_for(const StrategySpec& spec, std::optional<std::int64_t> given) {
  const std::int64_t n_layers = given.value_or(spec.layers > 0 ? spec.layers : kDefaultModelLayers);
  if (n_layers < 1 || n_layers > kMaxLayers) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--n_layers is {}: a number from 1 to {} is needed", n_layers, kMaxLayers));
  }
  return n_layers;
}

void require_no_cache(const Policy& policy) {
  if (!policy.looks_into_cache()) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} needs a model's {} to choose tokens: what it keeps cannot be told without "
                          "a run (generate, longbench)",
                          policy.spec().name, policy.score_request() ? "attention" : "keys"));
}

void note_streaming_middle(const StrategySpec& spec) {
  const SimpleEvictConfig& config = spec.config;
  if (!policy_info(spec.name).uses("block") || config.middle_budget_tokens == 0 || config.uniform_stride > 0)
    return;
  if (ruler_middle_tokens(spec.block_n, config) > 0) return;
  spdlog::warn(
      "a middle budget of {} tokens is less than one block of {}: while tokens stream in, no middle token is "
      "kept; "
      "lower --block_n or raise --middle_budget",
      config.middle_budget_tokens, spec.block_n);
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t from = 0;;) {
    const std::size_t comma = text.find(',', from);
    parts.push_back(text.substr(from, comma - from));
    if (comma == std::string::npos) return parts;
    from = comma + 1;
  }
}

void add_auto_sink(CLI::App& app, StrategyFlags& flags) {
  app.add_option_function<std::string>(
         both_spellings("sink_tokens"),
         [&flags](const std::string& text) {
           flags.has_auto_sink = text == "auto";
           if (flags.has_auto_sink) return;
           const std::string problem = check_whole_number(text);
           if (!problem.empty()) throw CLI::ValidationError("--sink_tokens", problem + ", nor is it auto");
           flags.values["sink"] = std::stoll(text);
         },
         "First tokens, always kept; auto: those of the system prompt (auto)")
      ->option_text("auto|N");
}

/// A flag whose values are words.
void add_words(CLI::App& app, const StrategyKey& key, std::optional<std::int64_t>& value,
               const std::string& help) {
  const std::string text = fmt::format("{}", fmt::join(key.words, "|"));
  const auto read = [&value, key](const std::string& word) {
    const auto at = std::find(key.words.begin(), key.words.end(), word);
    value = key.least + (at - key.words.begin());
  };
  app.add_option_function<std::string>(both_spellings(key.long_name), read, help)
      ->check(CLI::IsMember(key.words))
      ->option_text(text);
}

/// " [ladder 0, …]": the strategies that use the value, and what it is if nothing says it.
std::string users_of(const StrategyKey& key) {
  std::string names;
  for (const PolicyInfo& info : all_policies()) {
    if (!info.uses(key.name)) continue;
    names += fmt::format("{}{} {}", names.empty() ? "" : ", ", info.name,
                         key.text_of(key.value_of(parse_strategy(info.name))));
  }
  return " [" + names + "]";
}

std::optional<std::int64_t> StrategyFlags::given(const std::string& key) const {
  const auto found = values.find(key);
  return found == values.end() ? std::nullopt : found->second;
}

void StrategyFlags::add_to(CLI::App& app, bool takes_several, bool takes_auto_sink) {
  std::string names;
  for (const PolicyInfo& info : all_policies()) names += (names.empty() ? "" : ", ") + info.name;
  add_option(app, "strategy", strategy,
             names + "; with values if you like: name[:sink[:recent[:budget]]][:key=value...]")
      ->option_text("NAME");
  if (takes_several) {
    add_option(app, "strategies", strategies,
               "Several strategies on the same examples, separated by commas, or a YAML or JSON file of them")
        ->option_text("NAME,NAME,...|FILE");
  }
  for (const StrategyKey& key : strategy_keys()) {
    // A command's own flag of that name goes first (stream's --window): the strategy's text still takes the
    // value.
    if (app.get_option_no_throw("--" + key.long_name) != nullptr) continue;
    if (takes_auto_sink && key.name == "sink") {
      add_auto_sink(app, *this);
    } else if (!key.words.empty()) {
      add_words(app, key, values[key.name], key.help + users_of(key));
    } else {
      add_count(app, key.long_name, values[key.name], key.help + users_of(key));
    }
  }
  add_count(app, "budget", budget,
            "Tokens kept in all: sets the middle budget, or the recent window of a strategy without one");
}

namespace {

std::vector<std::string> texts_of(const StrategyFlags& flags, const std::string& default_strategy) {
  if (!flags.strategy.empty() && !flags.strategies.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "--strategy and --strategies are both given: one of them is needed");
  }
  if (flags.strategies.empty()) return {flags.strategy.empty() ? default_strategy : flags.strategy};
  return is_strategy_file(flags.strategies) ? read_strategy_file(flags.strategies)
                                            : split_at_commas(flags.strategies);
}

/// Takes ":prefill=<mode>" out of `text`.
std::optional<PrefillMode> take_prefill(std::string& text) {
  constexpr std::string_view kKey = ":prefill=";
  const std::size_t at = text.find(kKey);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t from = at + kKey.size();
  const std::size_t to = std::min(text.find(':', from), text.size());
  const auto mode = parse_prefill_mode(text.substr(from, to - from));
  if (!mode)
    throw Error(ErrorCode::kInvalidArgument,
                "the strategy \"" + text + "\" has another prefill than full or bounded");
  text.erase(at, to - at);
  return mode;
}

}  // namespace

bool StrategyFlags::is_untouched() const {
  const auto is_given = [](const auto& value) { return value.second.has_value(); };
  return !is_named() && !budget && std::none_of(values.begin(), values.end(), is_given);
}

std::vector<ChosenStrategy> StrategyFlags::chosen(const std::string& default_strategy) const {
  std::vector<StrategySpec> specs;
  std::vector<std::optional<PrefillMode>> prefills;
  for (std::string& text : texts_of(*this, default_strategy)) {
    prefills.push_back(take_prefill(text));
    specs.push_back(parse_strategy(text));
  }
  apply_single_flags(*this, specs);
  apply_budget(*this, specs);
  std::vector<ChosenStrategy> all;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    validate(specs[i]);
    note_empty_middle(specs[i]);
    const ChosenStrategy strategy{specs[i], prefills[i]};
    if (std::find(all.begin(), all.end(), strategy) != all.end()) {
      throw Error(ErrorCode::kInvalidArgument, "the strategy " + to_string(specs[i]) + " is given twice");
    }
    all.push_back(strategy);
  }
  return all;
}

std::vector<StrategySpec> StrategyFlags::specs(const std::string& default_strategy) const {
  std::vector<StrategySpec> specs;
  for (const ChosenStrategy& strategy : chosen(default_strategy)) {
    if (strategy.prefill) {
      throw Error(ErrorCode::kInvalidArgument, "the strategy " + to_string(strategy.spec) +
                                                   " names its prefill: here --prefill says it for all");
    }
    specs.push_back(strategy.spec);
  }
  return specs;
}

}  // namespace kvevict::cli
