#pragma once

#include <cstdint>

#include "kvevict/kv_view.h"

namespace kvevict {

/// Gives the memory of the rows from `n_kept` on back to the system, as far as it is whole pages that hold
/// nothing else: those behind the kept rows of each lane. The rows read as zero, or as they were, afterwards.
/// REQUIRES: host memory that is private, writable and not pinned, in which nothing lies between the first
/// and the last of those rows but other rows of the tensor. Returns the resident bytes given back. O(pages).
std::int64_t release_rows_behind(const KvView& view, std::int64_t n_kept) noexcept;

}  // namespace kvevict
