#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/simple_evict.h"

namespace KVEVICT_PUBLIC kvevict {

/// The most layers that a plan can be asked for.
inline constexpr std::int64_t kMaxLayers = 65536;

/// A value of `StrategySpec::per_layer`: one set for each layer if the model's cache can hold other tokens in
/// each, else one for all.
inline constexpr std::int64_t kLayersWherePossible = 2;

/// A strategy by name with its values: what the grammar
/// `name[:sink[:recent[:budget]]][:key=value…]` says, on top of the strategy's own defaults.
/// Keys: those of `strategy_keys()`; each strategy uses some of them (`PolicyInfo::keys`).
/// Example: `sink_recent_uniform:256:1024:512`.
struct StrategySpec {
  std::string name = "full";
  SimpleEvictConfig config{};
  std::int64_t block_n = kDefaultBlockTokens;
  std::int64_t span = 0;     ///< Ladder: layers that share a token; 0: half of the layers, rounded up.
  std::int64_t overlap = 0;  ///< Ladder: 0 <= overlap < span.
  std::int64_t layers = 0;   ///< Ladder: layers of the model; 0: `PolicyState::n_layers`.
  /// Attention and keys: 0: one set for all layers; 1: one for each; `kLayersWherePossible`.
  std::int64_t per_layer = 0;
  std::int64_t window = 32;  ///< SnapKV: newest tokens that vote; >= 1.
  std::int64_t pool = 7;     ///< SnapKV: neighbouring rows whose highest score counts; odd.
  std::int64_t smooth = 7;   ///< KeyDiff: neighbouring tokens whose mean counts; odd.
  std::int64_t rotated = 0;  ///< KeyDiff: 1: keys as they lie in the cache, rotated by their positions.
  std::map<std::string, std::int64_t> more{};  ///< Values of registered policies, by their keys.

  friend bool operator==(const StrategySpec&, const StrategySpec&) = default;
};

/// A value of a strategy, declared once: grammar, flags, files, results, checks and help texts read it from
/// here.
struct StrategyKey {
  std::string name;            ///< In the grammar: "sink".
  std::string long_name;       ///< In flags, files and results: "sink_tokens".
  std::string help;            ///< One line.
  std::int64_t least = 0;      ///< Smallest value.
  std::int64_t most = 0;       ///< Largest value.
  std::int64_t otherwise = 0;  ///< What a value in `StrategySpec::more` is if nothing says it.
  bool is_odd = false;         ///< Only odd values.
  std::int64_t& (*member)(StrategySpec& spec) = nullptr;  ///< Where it is; null: in `StrategySpec::more`.
  std::vector<std::string> words{};  ///< What the values from `least` on are called, if they are no numbers.

  [[nodiscard]] std::int64_t& value(StrategySpec& spec) const {
    return member != nullptr ? member(spec) : spec.more.try_emplace(name, otherwise).first->second;
  }
  [[nodiscard]] std::int64_t value_of(StrategySpec spec) const { return value(spec); }

  /// A value as the grammar has it: a number, or its word.
  [[nodiscard]] std::string text_of(std::int64_t value) const;
};

/// All values that strategies have, those of registered policies last. The first three may be given without
/// their names, in this order. Thread safe.
[[nodiscard]] std::vector<StrategyKey> strategy_keys();

/// Throws `Error(kInvalidArgument)` that names the first value which is out of its range.
void validate(const StrategySpec& spec);

/// Reads the grammar; values that the text leaves out are the strategy's defaults.
/// Throws `Error(kInvalidArgument)` that quotes the part which is wrong.
[[nodiscard]] StrategySpec parse_strategy(std::string_view text);

/// The shortest text that `parse_strategy` reads back to an equal spec and that names the counts of tokens
/// which the strategy uses: "full", "sink_recent:256:512", "sink_recent_uniform:256:512:stride=2",
/// "ladder:4:508:512:span=8".
[[nodiscard]] std::string to_string(const StrategySpec& spec);

/// Makes the strategy hold `n_tokens` tokens a layer in all: its middle budget, or for one without a middle
/// its recent window, is what the rest leaves (`PolicyInfo::halves_total_budget`). Throws
/// `Error(kInvalidArgument)` if nothing is left, or the strategy has neither.
void set_total_budget(StrategySpec& spec, std::int64_t n_tokens);

}  // namespace kvevict
