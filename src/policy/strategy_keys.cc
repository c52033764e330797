// What strategies can be told, a row for each value.
#include <array>

#include "kvevict/error.h"
#include "kvevict/strategy_spec.h"
#include "policy/strategy_keys.h"

namespace kvevict {

std::span<const StrategyKey> built_in_keys() {
  using Spec = StrategySpec;
  static const std::array kKeys = {
      StrategyKey{"sink", "sink_tokens", "First tokens, always kept", 0, kMaxTokens, 0, false,
                  [](Spec& s) -> std::int64_t& { return s.config.sink_tokens; }},
      StrategyKey{"recent", "recent_tokens", "Last tokens, always kept", 1, kMaxTokens, 0, false,
                  [](Spec& s) -> std::int64_t& { return s.config.recent_tokens; }},
      StrategyKey{"budget", "middle_budget", "Most tokens kept between the first and the last ones", 0,
                  kMaxTokens, 0, false,
                  [](Spec& s) -> std::int64_t& { return s.config.middle_budget_tokens; }},
      StrategyKey{"stride", "uniform_stride", "Keep every N-th middle block instead of a budget (0: off)", 0,
                  kMaxTokens, 0, false, [](Spec& s) -> std::int64_t& { return s.config.uniform_stride; }},
      StrategyKey{"block", "block_n", "Tokens per block of the middle", 1, kMaxTokens, 0, false,
                  [](Spec& s) -> std::int64_t& { return s.block_n; }},
      StrategyKey{"span", "span", "Layers that share a token (0: half of the layers)", 0, kMaxLayers, 0,
                  false, [](Spec& s) -> std::int64_t& { return s.span; }},
      StrategyKey{"overlap", "overlap", "Layers that two neighbouring steps share, below the span", 0,
                  kMaxLayers, 0, false, [](Spec& s) -> std::int64_t& { return s.overlap; }},
      StrategyKey{"layers", "layers", "Layers of the model, if it is to be checked (0: whatever it has)", 0,
                  kMaxLayers, 0, false, [](Spec& s) -> std::int64_t& { return s.layers; }},
      StrategyKey{"per_layer", "per_layer",
                  "1: each layer keeps tokens of its own; 2: where the model's cache can; 0: all the same", 0,
                  kLayersWherePossible, 0, false, [](Spec& s) -> std::int64_t& { return s.per_layer; }},
      StrategyKey{"window", "window", "Newest tokens whose attention votes", 1, kMaxTokens, 0, false,
                  [](Spec& s) -> std::int64_t& { return s.window; }},
      StrategyKey{"pool", "pool", "Neighbouring rows whose highest score counts, odd", 1, kMaxTokens, 0, true,
                  [](Spec& s) -> std::int64_t& { return s.pool; }},
      StrategyKey{"smooth", "smooth", "Neighbouring tokens whose mean score counts, odd", 1, kMaxTokens, 0,
                  true, [](Spec& s) -> std::int64_t& { return s.smooth; }},
      StrategyKey{"rotated", "rotated", "1: keys are compared as they lie, rotated by their positions", 0, 1,
                  0, false, [](Spec& s) -> std::int64_t& { return s.rotated; }},
      StrategyKey{
          "spacing",
          "spacing",
          "Middle blocks at the midpoints of equal parts, or from end to end as the demo's code has them",
          kSpacingMidpoints,
          kSpacingEnds,
          kSpacingMidpoints,
          false,
          [](Spec& s) -> std::int64_t& { return s.config.spacing; },
          {"midpoints", "ends"}},
  };
  return kKeys;
}

std::string StrategyKey::text_of(std::int64_t value) const {
  const auto number = static_cast<std::uint64_t>(value - least);
  return number < words.size() ? words[number] : std::to_string(value);
}

void require_in_range(const StrategyKey& key, std::int64_t value) {
  if (value < key.least || value > key.most) {
    throw Error(ErrorCode::kInvalidArgument,
                key.long_name + " is " + std::to_string(value) + ": a number from " +
                    std::to_string(key.least) + " to " + std::to_string(key.most) + " is needed",
                key.long_name);
  }
  if (key.is_odd && value % 2 == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                key.long_name + " is " + std::to_string(value) +
                    ": an odd number is needed, a token and as many neighbours on either side",
                key.long_name);
  }
}

void validate(const StrategySpec& spec) {
  validate(spec.config, spec.block_n);
  for (const StrategyKey& key : strategy_keys()) require_in_range(key, key.value_of(spec));
}

}  // namespace kvevict
