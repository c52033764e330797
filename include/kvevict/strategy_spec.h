#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvevict/simple_evict.h"

namespace kvevict {

/// A strategy by name with its values: what the grammar
/// `name[:sink[:recent[:budget]]][:key=value…]` says, on top of the strategy's own defaults.
/// Keys: `sink`, `recent`, `budget`, `stride`, `block`. Example: `sink_recent_uniform:256:1024:512`.
struct StrategySpec {
  std::string name = "full";
  SimpleEvictConfig config;
  std::int64_t block_n = kDefaultBlockTokens;

  friend bool operator==(const StrategySpec&, const StrategySpec&) = default;
};

/// Reads the grammar; values that the text leaves out are the strategy's defaults.
/// Throws `Error(kInvalidArgument)` that quotes the part which is wrong.
[[nodiscard]] StrategySpec parse_strategy(std::string_view text);

/// The shortest text that `parse_strategy` reads back to an equal spec and that names every value
/// which the strategy uses: "full", "sink_recent:256:512", "sink_recent_uniform:256:512:stride=2".
[[nodiscard]] std::string to_string(const StrategySpec& spec);

}  // namespace kvevict
