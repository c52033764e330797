#pragma once

#include <optional>
#include <string_view>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// How a prompt goes into the cache.
enum class PrefillMode {
  kFull,     ///< All of it, then one eviction: peak memory is that of the whole prompt.
  kBounded,  ///< Chunk by chunk, evicting before each: never more than budget + one chunk.
};

/// How the kept tokens are seen by the rotary embedding.
enum class PositionMode {
  kAbsolute,  ///< Kept tokens keep the positions at which they were first seen.
  kPacked,    ///< Kept tokens take 0 … n − 1 (StreamingLLM): the keys are rotated anew.
  kAuto,      ///< Absolute until the next tokens would pass the trained context, then packed once, and so on.
};

/// "full", "bounded".
[[nodiscard]] std::string_view to_string(PrefillMode mode) noexcept;

/// "absolute", "packed", "auto".
[[nodiscard]] std::string_view to_string(PositionMode mode) noexcept;

/// The mode of that name; nothing for an unknown one.
[[nodiscard]] std::optional<PrefillMode> parse_prefill_mode(std::string_view name) noexcept;
[[nodiscard]] std::optional<PositionMode> parse_position_mode(std::string_view name) noexcept;

}  // namespace kvevict
