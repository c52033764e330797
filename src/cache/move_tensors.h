#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/lanes.h"
#include "kvevict/keep_set.h"

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
/// shared: while rows move by less than a worker is worth, each worker takes a strip of every row;
/// later, when the next rows to be read lie behind all places to be written until there, that
/// whole wave is cut among the workers, who then wait for each other. Neither needs a copy: what
/// runs at the same time never touches the same bytes.
/// Extra memory: O(tensors). Errors: std::bad_alloc, before anything has moved. Returns the workers
/// used.
int move_tensors(std::span<const TensorMove> tensors, int n_threads);

}  // namespace kvevict
