#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvevict/keep_set.h"

namespace kvevict::plot {

/// A part of a row of tokens, `[begin, end)`, and which share of it is kept: above 0, at most 1.
struct KeepCell {
  double begin = 0;
  double end = 0;
  double share = 1;
  friend bool operator==(const KeepCell&, const KeepCell&) = default;
};

/// What to draw for `kept` of `total_len` >= 1 tokens if the picture tells `n_columns` >= 2 columns apart:
/// the exact ranges while they are few enough to be seen (at most half as many as columns), else the columns,
/// each with its share rounded to eighths (0 and 1 only if it is exactly that), neighbours of one
/// share joined. Parts beyond total_len are left out. O(ranges + columns).
[[nodiscard]] std::vector<KeepCell> keep_cells(const KeepSet& kept, std::int64_t total_len, int n_columns);

/// The share of each of `n_columns` equal columns that is kept. O(ranges + columns).
[[nodiscard]] std::vector<double> column_shares(const KeepSet& kept, std::int64_t total_len, int n_columns);

/// The columns that are kept in part or whole, their shares (0 … 1) rounded as `keep_cells` does, neighbours
/// of one share joined.
[[nodiscard]] std::vector<KeepCell> joined_columns(std::span<const double> shares, std::int64_t total_len);

/// Neighbouring layers with the same kept tokens, `[begin, end)`.
struct LayerBand {
  int begin = 0;
  int end = 0;
  const KeepSet* kept = nullptr;
};

/// The bands of `n_layers` layers; `layers` holds one set for all of them, or one each. Views `layers`.
[[nodiscard]] std::vector<LayerBand> layer_bands(std::span<const KeepSet> layers, int n_layers);

}  // namespace kvevict::plot
