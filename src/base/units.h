#pragma once

#include <cstdint>

namespace kvevict {

/// llama.cpp allocates cells in whole multiples of this.
inline constexpr std::int64_t kCellPadding = 256;

/// Cells that llama.cpp allocates for `n_tokens` tokens; at least one step.
[[nodiscard]] constexpr std::int64_t padded_cells(std::int64_t n_tokens) noexcept {
  return (n_tokens > 0 ? (n_tokens + kCellPadding - 1) / kCellPadding : 1) * kCellPadding;
}

/// Bytes as MiB.
[[nodiscard]] constexpr double to_mib(std::int64_t bytes) noexcept {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace kvevict
