// The record of places against the rules that llama.cpp's cells follow, spelled out slowly.
#include "engine/cell_places.h"

#include <gtest/gtest.h>

#include <random>

namespace kvevict {
namespace {

class SlowCells {
 public:
  explicit SlowCells(std::size_t n) : cells_(n, -1) {}

  void write(std::int64_t position) {
    for (std::int64_t& cell : cells_) {
      if (cell >= 0) continue;
      cell = position;
      return;
    }
  }
  void remove(std::int64_t begin, std::int64_t end) {
    for (std::int64_t& cell : cells_) cell = cell >= begin && cell < end ? -1 : cell;
  }
  [[nodiscard]] std::size_t n_free() const {
    return static_cast<std::size_t>(std::count(cells_.begin(), cells_.end(), -1));
  }
  [[nodiscard]] const std::vector<std::int64_t>& cells() const { return cells_; }

 private:
  std::vector<std::int64_t> cells_;
};

TEST(CellPlaces, FollowWhatIsWrittenAndRemoved) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    constexpr std::size_t kCells = 40;
    CellPlaces places(kCells);
    SlowCells slow(kCells);
    std::int64_t next = 0;
    for (int step = 0; step < 60; ++step) {
      const auto n = static_cast<std::int64_t>(random() % 6);
      if (random() % 2 == 0 && slow.n_free() >= static_cast<std::size_t>(n)) {
        places.written(next, n);
        for (std::int64_t i = 0; i < n; ++i) slow.write(next++);
      } else {
        const auto begin = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(next + 1));
        places.removed({begin, begin + n});
        slow.remove(begin, begin + n);
      }
      std::vector<std::int64_t> positions;
      std::vector<TokenRange> occupied;
      for (std::size_t cell = 0; cell < kCells; ++cell) {
        if (slow.cells()[cell] < 0) continue;
        positions.push_back(slow.cells()[cell]);
        const auto at = static_cast<std::int64_t>(cell);
        if (!occupied.empty() && occupied.back().end == at) {
          ++occupied.back().end;
        } else {
          occupied.push_back({at, at + 1});
        }
      }
      ASSERT_EQ(places.positions(), positions);
      ASSERT_EQ(places.occupied(), occupied);
    }
  }
}

TEST(CellPlaces, AShiftMovesPositionsAndNoCell) {
  CellPlaces places(8);
  places.written(0, 6);
  places.removed({1, 3});
  places.shifted({{3, 6}, -2});
  EXPECT_EQ(places.positions(), (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(places.occupied(), (std::vector<TokenRange>{{0, 1}, {3, 6}}));
  places.written(4, 1);
  EXPECT_EQ(places.positions(), (std::vector<std::int64_t>{0, 4, 1, 2, 3}));
}

TEST(CellPlaces, AreForgottenRatherThanGuessed) {
  CellPlaces places(2);
  EXPECT_TRUE(places.is_known());
  places.written(0, 3);  // more than there are
  EXPECT_FALSE(places.is_known());
  EXPECT_TRUE(places.occupied().empty());
  EXPECT_FALSE(CellPlaces().is_known());
}

}  // namespace
}  // namespace kvevict
