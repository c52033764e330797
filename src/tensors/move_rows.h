#pragma once

#include <cstddef>
#include <cstdint>

#include "tensors/row_walk.h"

namespace kvevict {

/// One lane of a tensor: rows that move alike.
struct Lane {
  std::byte* base = nullptr;   ///< Row 0.
  std::int64_t row_bytes = 0;  ///< > 0.
  std::int64_t stride = 0;     ///< Bytes from row to row; any sign.

  [[nodiscard]] bool is_dense() const noexcept { return stride == row_bytes || stride == -row_bytes; }
  [[nodiscard]] std::byte* row(std::int64_t number) const noexcept { return base + number * stride; }
};

/// Moves within a lane the kept rows that `walk` is at, up to the one that goes to `to_end`.
///
/// In place and safe for overlap by construction: rows go in ascending order and never backwards,
/// so that what is overwritten was read before; a run is one move that allows overlap.
/// `streaming`: stores go past the caches if a run is long and far enough from its place; for
/// moves that are larger than the caches. Extra memory: none.
void move_rows(const Lane& lane, RowWalk walk, std::int64_t to_end, bool streaming) noexcept;

/// Copies out the kept rows that `walk` is at, up to the one that goes to `to_end`, one behind the other.
void stash_rows(const Lane& lane, RowWalk walk, std::int64_t to_end, std::byte* stash) noexcept;

/// Copies stashed rows to their places [to_begin, to_end).
void unstash_rows(const Lane& lane, std::int64_t to_begin, std::int64_t to_end,
                  const std::byte* stash) noexcept;

}  // namespace kvevict
