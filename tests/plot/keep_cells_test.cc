#include "plot/keep_cells.h"

#include <gtest/gtest.h>

#include <random>

namespace kvevict::plot {
namespace {

TEST(KeepCells, AreTheExactRangesWhileTheyCanBeSeen) {
  const KeepSet kept = KeepSet::from_ranges({{0, 256}, {640, 768}, {3584, 4096}});
  const std::vector<KeepCell> expected = {{0, 256, 1}, {640, 768, 1}, {3584, 4096, 1}};
  EXPECT_EQ(keep_cells(kept, 4096, 700), expected);
}

TEST(KeepCells, LeaveOutWhatLiesBehindTheEnd) {
  const KeepSet kept = KeepSet::from_ranges({{0, 10}, {15, 40}, {50, 60}});
  const std::vector<KeepCell> expected = {{0, 10, 1}, {15, 20, 1}};
  EXPECT_EQ(keep_cells(kept, 20, 700), expected);
}

TEST(KeepCells, JoinColumnsOfOneShare) {
  KeepSet every_second;
  for (std::int64_t i = 0; i < 1000; i += 2) every_second.append(i, i + 1);
  const std::vector<KeepCell> expected = {{0, 1000, 0.5}};
  EXPECT_EQ(keep_cells(every_second, 1000, 10), expected);
}

TEST(KeepCells, ShowAFullOrEmptyColumnOnlyWhereItIsOne) {
  KeepSet kept;  // 0 … 99 full but for one token, 100 … 199 with one token, 200 … 299 full, the rest empty
  kept.append(0, 50);
  kept.append(51, 100);
  kept.append(150, 151);
  kept.append(200, 300);
  const std::vector<KeepCell> expected = {{0, 100, 0.875}, {100, 200, 0.125}, {200, 300, 1}};
  EXPECT_EQ(keep_cells(kept, 400, 4), expected);
}

/// The plain way: count the kept tokens of each column, where columns hold whole numbers of tokens.
TEST(ColumnShares, AreTheCountsOfEachColumn) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int n_columns = 2 + static_cast<int>(random() % 30);
    const int n_per_column = 1 + static_cast<int>(random() % 20);
    const std::int64_t total = std::int64_t{n_columns} * n_per_column;
    std::vector<std::int64_t> indices;
    std::vector<double> expected(static_cast<std::size_t>(n_columns), 0);
    for (std::int64_t i = 0; i < total; ++i) {
      if (random() % 3 == 0) continue;
      indices.push_back(i);
      expected[static_cast<std::size_t>(i / n_per_column)] += 1.0 / n_per_column;
    }
    const std::vector<double> shares = column_shares(KeepSet::from_indices(indices), total, n_columns);
    for (std::size_t i = 0; i < shares.size(); ++i)
      EXPECT_NEAR(shares[i], expected[i], 1e-9) << round << " " << i;
  }
}

TEST(LayerBands, JoinNeighboursThatKeepTheSame) {
  const KeepSet a = KeepSet::all(4);
  const KeepSet b = KeepSet::all(5);
  const std::vector<KeepSet> layers = {a, a, b, a};
  const std::vector<LayerBand> bands = layer_bands(layers, 4);
  ASSERT_EQ(bands.size(), 3U);
  EXPECT_EQ(bands[0].end, 2);
  EXPECT_EQ(*bands[1].kept, b);
  EXPECT_EQ(bands[2].begin, 3);
  const std::vector<KeepSet> shared = {a};
  EXPECT_EQ(layer_bands(shared, 30).front().end, 30);
}

}  // namespace
}  // namespace kvevict::plot
