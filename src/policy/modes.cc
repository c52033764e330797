#include "kvevict/modes.h"

namespace kvevict {

std::string_view to_string(PrefillMode mode) noexcept {
  return mode == PrefillMode::kBounded ? "bounded" : "full";
}

std::string_view to_string(PositionMode mode) noexcept {
  switch (mode) {
    case PositionMode::kPacked:
      return "packed";
    case PositionMode::kAuto:
      return "auto";
    case PositionMode::kAbsolute:
      break;
  }
  return "absolute";
}

std::optional<PrefillMode> parse_prefill_mode(std::string_view name) noexcept {
  for (const PrefillMode mode : {PrefillMode::kFull, PrefillMode::kBounded}) {
    if (to_string(mode) == name) return mode;
  }
  return std::nullopt;
}

std::optional<PositionMode> parse_position_mode(std::string_view name) noexcept {
  for (const PositionMode mode : {PositionMode::kAbsolute, PositionMode::kPacked, PositionMode::kAuto}) {
    if (to_string(mode) == name) return mode;
  }
  return std::nullopt;
}

}  // namespace kvevict
