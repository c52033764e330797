#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kvevict/modes.h"
#include "kvevict/policy.h"
#include "kvevict/strategy_spec.h"

namespace kvevict::cli {

/// "a,b" -> "a", "b"; "" -> "".
[[nodiscard]] std::vector<std::string> split_at_commas(const std::string& text);

/// Layers that a plan without a model is made for: those of the default model, SmolLM2-135M-Instruct.
inline constexpr int kDefaultModelLayers = 30;

/// Layers of a plan without a model: those that were given, the strategy's own, or the default model's.
/// Errors: kInvalidArgument for a number that no model has.
[[nodiscard]] std::int64_t layers_for(const StrategySpec& spec, std::optional<std::int64_t> given);

/// Refuses a policy that chooses by attention or keys, if there is no model: kInvalidArgument.
void require_no_cache(const Policy& policy);

/// Says on stderr if a stream cannot keep a middle that was asked for: a budget below one block.
void note_streaming_middle(const StrategySpec& spec);

/// A strategy as it was asked for, and its prefill if its text says one (":prefill=bounded").
struct ChosenStrategy {
  StrategySpec spec;
  std::optional<PrefillMode> prefill;

  friend bool operator==(const ChosenStrategy&, const ChosenStrategy&) = default;
};

/// The flags that name a strategy and its values, on every command that takes one.
struct StrategyFlags {
  std::string strategy;
  std::string strategies;  ///< Several, separated by commas, or a YAML or JSON file of them.
  std::map<std::string, std::optional<std::int64_t>>
      values;                          ///< Of single flags, by the keys of the grammar.
  std::optional<std::int64_t> budget;  ///< Tokens in all.
  bool is_ours = false;                ///< The command itself set the texts above, the user none.
  bool has_auto_sink = false;          ///< `--sink_tokens auto`: the command itself counts the tokens.

  /// Whether the user names a strategy, or leaves it to the command.
  [[nodiscard]] bool is_named() const { return !is_ours && (!strategy.empty() || !strategies.empty()); }

  /// Whether the user says nothing about strategies at all.
  [[nodiscard]] bool is_untouched() const;

  /// The value of a single flag.
  [[nodiscard]] std::optional<std::int64_t> given(const std::string& key) const;

  /// Adds the flags; `--strategies` only if the command can run several, the word "auto" for
  /// `--sink_tokens` only if it can count them.
  void add_to(CLI::App& app, bool takes_several, bool takes_auto_sink = false);

  /// The strategies asked for: the texts' own values, then the single flags over them. A flag that
  /// none of the strategies uses is named once on stderr, as is a choice that cannot have an effect.
  /// Errors: kInvalidArgument.
  [[nodiscard]] std::vector<ChosenStrategy> chosen(const std::string& default_strategy) const;

  /// The same for commands whose strategies share one prefill mode: a text that names one is refused.
  [[nodiscard]] std::vector<StrategySpec> specs(const std::string& default_strategy) const;
};

}  // namespace kvevict::cli
