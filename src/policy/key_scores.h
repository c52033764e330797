#pragma once

#include <span>
#include <vector>

#include "kvevict/cached_keys.h"

namespace kvevict {

/// Adds to `sums[r]`, for each head of a layer, how unlike the other rows' keys row r's is: -cos(k, a), with
/// a = the mean of k / |k| over the rows; -1 (like all) … 1. A key of length 0, or of numbers that are not
/// finite, counts as 0. O(elements).
/// REQUIRES: as many sums as rows.
void add_key_differences(const LayerKeys& keys, std::span<double> sums);

/// The same for one layer by itself: the mean over its heads.
[[nodiscard]] std::vector<float> key_differences(const LayerKeys& keys);

/// The mean over heads and layers of what `keys` holds, for each token of `keys.held().layer(0)`. One layer
/// is in memory at a time. REQUIRES: all layers hold the same.
[[nodiscard]] std::vector<float> key_differences_of_all(CachedKeys& keys);

}  // namespace kvevict
