#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kvevict/kv_view.h"

namespace kvevict {

/// A tensor seen as lanes: sequences of rows that move alike and never touch each other.
///
/// Axes that follow each other in memory are merged into the row, so that a row is as long as the
/// strides allow: one head of [batch, heads, seq, dim], all heads of [batch, seq, heads, dim], a
/// single element if the sequence is the innermost axis. What is left over numbers the lanes.
struct Lanes {
  std::byte* base = nullptr;  ///< Row 0 of lane 0.
  std::int64_t row_bytes = 0;
  std::int64_t row_stride = 0;  ///< Bytes from a row to the next one; any sign.
  std::int64_t n_lanes = 0;     ///< 0 for a tensor without elements.
  std::int64_t n_rows = 0;
  std::array<std::int64_t, 3> sizes{1, 1, 1};    ///< Axes that number the lanes, slowest first.
  std::array<std::int64_t, 3> strides{0, 0, 0};  ///< Bytes.

  [[nodiscard]] std::byte* lane(std::int64_t number) const noexcept;

  /// Whether rows follow each other without a gap, in either direction.
  [[nodiscard]] bool is_dense() const noexcept { return row_stride == row_bytes || row_stride == -row_bytes; }
};

[[nodiscard]] Lanes lanes_of(const KvView& view);

}  // namespace kvevict
