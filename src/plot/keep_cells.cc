#include "plot/keep_cells.h"

#include <algorithm>
#include <cmath>

namespace kvevict::plot {
namespace {

constexpr double kShadeSteps = 8;

/// To eighths, but 0 and 1 mean nothing and everything.
double rounded_share(double share) {
  if (share <= 0 || share >= 1) return std::clamp(share, 0.0, 1.0);
  return std::clamp(std::round(share * kShadeSteps), 1.0, kShadeSteps - 1) / kShadeSteps;
}

std::vector<KeepCell> exact_cells(const KeepSet& kept, std::int64_t total_len) {
  std::vector<KeepCell> cells;
  for (const TokenRange& range : kept.ranges()) {
    if (range.begin >= total_len) break;
    cells.push_back(
        {static_cast<double>(range.begin), static_cast<double>(std::min(range.end, total_len)), 1});
  }
  return cells;
}

}  // namespace

std::vector<double> column_shares(const KeepSet& kept, std::int64_t total_len, int n_columns) {
  std::vector<double> shares(static_cast<std::size_t>(n_columns), 0);
  const double width = static_cast<double>(total_len) / n_columns;
  for (const TokenRange& range : kept.ranges()) {
    const auto begin = static_cast<double>(range.begin);
    const auto end = static_cast<double>(std::min(range.end, total_len));
    for (auto column = static_cast<std::size_t>(begin / width); column < shares.size(); ++column) {
      const double left = static_cast<double>(column) * width;
      if (left >= end) break;
      shares[column] += std::max(0.0, std::min(end, left + width) - std::max(begin, left));
    }
  }
  for (double& share : shares) {
    share /= width;
    if (share > 1 - 1e-9) share = 1;  // what adding parts may lose
  }
  return shares;
}

std::vector<KeepCell> joined_columns(std::span<const double> shares, std::int64_t total_len) {
  const double width = static_cast<double>(total_len) / static_cast<double>(shares.size());
  std::vector<KeepCell> cells;
  for (std::size_t column = 0; column < shares.size(); ++column) {
    const double share = rounded_share(shares[column]);
    const double begin = static_cast<double>(column) * width;
    if (share == 0) continue;
    if (!cells.empty() && cells.back().end == begin && cells.back().share == share) {
      cells.back().end = static_cast<double>(column + 1) * width;
    } else {
      cells.push_back({begin, static_cast<double>(column + 1) * width, share});
    }
  }
  return cells;
}

std::vector<KeepCell> keep_cells(const KeepSet& kept, std::int64_t total_len, int n_columns) {
  if (kept.ranges().size() <= static_cast<std::size_t>(n_columns) / 2) return exact_cells(kept, total_len);
  return joined_columns(column_shares(kept, total_len, n_columns), total_len);
}

std::vector<LayerBand> layer_bands(std::span<const KeepSet> layers, int n_layers) {
  if (layers.size() == 1) return {{0, n_layers, &layers.front()}};
  std::vector<LayerBand> bands;
  for (int layer = 0; layer < std::min(n_layers, static_cast<int>(layers.size())); ++layer) {
    const KeepSet& kept = layers[static_cast<std::size_t>(layer)];
    if (!bands.empty() && *bands.back().kept == kept) {
      bands.back().end = layer + 1;
    } else {
      bands.push_back({layer, layer + 1, &kept});
    }
  }
  return bands;
}

}  // namespace kvevict::plot
