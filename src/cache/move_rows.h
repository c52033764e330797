#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/row_walk.h"

namespace kvevict {

/// A lane, or a strip of the same bytes of each of its rows: strips of a lane are as independent of
/// each other as lanes are.
struct Strip {
  std::byte* base = nullptr;  ///< The strip's first byte of row 0.
  std::int64_t n_bytes = 0;   ///< Of each row.
  std::int64_t stride = 0;    ///< Bytes from row to row; any sign.

  [[nodiscard]] bool is_dense() const noexcept { return stride == n_bytes || stride == -n_bytes; }
};

/// Moves within a strip the kept rows that `walk` is at, up to the one that goes to `to_end`.
///
/// In place and safe for overlap by construction: rows go in ascending order and never backwards,
/// so that what is overwritten was read before; a run is one move that allows overlap.
/// `streaming`: stores go past the caches where a run is long and far enough from its place; for
/// moves that are larger than the caches. Extra memory: none.
void move_rows(const Strip& strip, RowWalk walk, std::int64_t to_end, bool streaming) noexcept;

}  // namespace kvevict
