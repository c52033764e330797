#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvevict/keep_set.h"
#include "tensors/lanes.h"

namespace kvevict {

/// One tensor and the rows of it that stay.
struct TensorMove {
  Lanes lanes;
  std::span<const TokenRange> keep;  ///< Of a KeepSet that outlives the move; within the rows.
  std::int64_t n_kept = 0;
  std::int64_t n_moved = 0;  ///< Kept rows that change their place.

  [[nodiscard]] std::int64_t lane_bytes() const noexcept { return n_moved * lanes.row_bytes; }
  [[nodiscard]] std::int64_t total_bytes() const noexcept { return lane_bytes() * lanes.n_lanes; }
};

/// REQUIRES: `keep` lies within the view's rows and outlives the result.
[[nodiscard]] TensorMove tensor_move(const KvView& view, const KeepSet& keep);

/// Moves the kept rows of host tensors to the front, in place, on at most `n_threads` workers.
///
/// Lanes (each head's rows, say) are handed to workers one by one. A lane too long for that is
/// shared: each worker takes a piece of its rows. Rows that move by little are read out of the next
/// worker's piece, so those few are stashed before anyone writes. From where the next row to be read
/// lies far behind its place, all rows whose places lie before it move at the same time: nothing is
/// written where anything is read. Workers wait for each other in between.
/// Extra memory: O(tensors), and 256 KiB for each worker if a lane is shared. Errors: std::bad_alloc,
/// before anything has moved. Returns the workers used.
int move_tensors(std::span<const TensorMove> tensors, int n_threads);

}  // namespace kvevict
