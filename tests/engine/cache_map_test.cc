#include "engine/cache_map.h"

#include <gtest/gtest.h>

#include <random>

#include "kvevict/error.h"

namespace kvevict {
namespace {

/// What a cell holds, kept one by one: the obvious record.
struct Cell {
  std::int64_t index = 0;
  std::int64_t position = 0;
};

class PlainRecord {
 public:
  void append(std::int64_t n) {
    for (; n > 0; --n) cells_.push_back({n_seen_++, next_position_++});
  }
  void retain(const KeepSet& keep) {
    std::erase_if(cells_, [&](const Cell& cell) { return !keep.contains(cell.index); });
  }
  void pack() {
    next_position_ = 0;
    for (Cell& cell : cells_) cell.position = next_position_++;
  }
  void trim(std::int64_t n_tokens) {
    std::erase_if(cells_, [&](const Cell& cell) { return cell.index >= n_tokens; });
    n_seen_ = n_tokens;
    next_position_ = cells_.empty() ? 0 : cells_.back().position + 1;
  }
  void remove(const PositionRange& positions) {
    std::erase_if(cells_,
                  [&](const Cell& c) { return c.position >= positions.begin && c.position < positions.end; });
  }
  void shift(const PositionShift& shift) {
    for (Cell& cell : cells_) {
      if (cell.position >= shift.positions.begin && cell.position < shift.positions.end)
        cell.position += shift.delta;
    }
  }

  std::vector<Cell> cells_;
  std::int64_t n_seen_ = 0;
  std::int64_t next_position_ = 0;
};

void expect_same(const CacheMap& map, const PlainRecord& plain) {
  std::vector<Cell> cells;
  for (const HeldRun& run : map.runs()) {
    for (std::int64_t i = 0; i < run.indices.count(); ++i) {
      cells.push_back({run.indices.begin + i, run.first_position + i});
    }
  }
  ASSERT_EQ(cells.size(), plain.cells_.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    ASSERT_EQ(cells[i].index, plain.cells_[i].index);
    ASSERT_EQ(cells[i].position, plain.cells_[i].position);
  }
  ASSERT_EQ(map.n_held(), static_cast<std::int64_t>(cells.size()));
  ASSERT_EQ(map.held().count(), map.n_held());
  ASSERT_EQ(map.n_seen(), plain.n_seen_);
  ASSERT_EQ(map.next_position(), plain.next_position_);
}

/// A record under test, the plain one, and the cells as an applier would have changed them, who does
/// what the record says and nothing else.
struct Sequence {
  CacheMap map;
  PlainRecord plain;
  PlainRecord applied;
};

class RandomSteps {
 public:
  explicit RandomSteps(unsigned seed) : random_(seed) { sequences_.emplace_back(); }

  void step() {
    Sequence& one =
        sequences_[static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(sequences_.size()) - 1))];
    switch (draw(0, 5)) {
      case 0:
        append(one, draw(1, 40));
        break;
      case 1:
        append(one, 1);
        break;
      case 2:
        evict(one);
        break;
      case 3:
        pack(one);
        break;
      case 4:
        trim(one);
        break;
      default:
        if (sequences_.size() < 5) sequences_.push_back(Sequence(one));  // a fork: from now on they go apart
    }
    for (const Sequence& sequence : sequences_) check(sequence);
  }

 private:
  static void append(Sequence& s, std::int64_t n) {
    s.map.append(n);
    s.plain.append(n);
    s.applied.n_seen_ = s.plain.n_seen_ - n;
    s.applied.next_position_ = s.plain.next_position_ - n;
    s.applied.append(n);
  }

  void evict(Sequence& s) {
    std::vector<TokenRange> ranges;
    for (std::int64_t n = draw(0, 5); n > 0; --n) {
      const std::int64_t begin = draw(0, s.plain.n_seen_);
      ranges.push_back({begin, draw(begin, s.plain.n_seen_)});
    }
    const KeepSet keep = KeepSet::from_ranges(ranges);
    for (const PositionRange& range : s.map.retain(keep)) s.applied.remove(range);
    s.plain.retain(keep);
  }

  static void pack(Sequence& s) {
    for (const PositionShift& shift : s.map.pack()) s.applied.shift(shift);
    s.plain.pack();
  }

  void trim(Sequence& s) {
    const std::int64_t n_tokens = draw(0, s.plain.n_seen_);
    if (n_tokens > 0 && !s.map.held().contains(n_tokens - 1)) {
      EXPECT_THROW(s.map.trim(n_tokens), Error);
      return;
    }
    for (const PositionRange& range : s.map.trim(n_tokens)) s.applied.remove(range);
    s.plain.trim(n_tokens);
  }

  static void check(const Sequence& s) {
    expect_same(s.map, s.plain);
    ASSERT_EQ(s.applied.cells_.size(), s.plain.cells_.size());
    for (std::size_t i = 0; i < s.plain.cells_.size(); ++i) {
      ASSERT_EQ(s.applied.cells_[i].index, s.plain.cells_[i].index);
      ASSERT_EQ(s.applied.cells_[i].position, s.plain.cells_[i].position);
    }
  }

  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

  std::mt19937 random_;
  std::vector<Sequence> sequences_;
};

TEST(CacheMapTest, IsTheVectorModelOverRandomSteps) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    RandomSteps steps(seed);
    for (int i = 0; i < 120 && !testing::Test::HasFatalFailure(); ++i) steps.step();
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed;
  }
}

TEST(CacheMapTest, DoesNotGrowWithAMillionTokens) {
  CacheMap map;
  for (std::int64_t n_seen = 0; n_seen < 1'000'000; n_seen += 512) {
    map.append(512);
    static_cast<void>(map.retain(KeepSet::from_ranges({{0, 4}, {n_seen, n_seen + 512}})));
    ASSERT_LE(map.runs().size(), 2U);
    ASSERT_LE(map.held().ranges().size(), 2U);
    ASSERT_LE(map.n_held(), 4 + 512);
  }
}

TEST(CacheMapTest, TakesBackWhatWasSavedAndRefusesContradictions) {
  const std::vector<HeldRun> runs = {{{0, 4}, 0}, {{90, 100}, 90}};
  const CacheMap map(runs, 100, 100);
  EXPECT_EQ(map.held(), KeepSet::from_ranges({{0, 4}, {90, 100}}));
  EXPECT_EQ(map.next_position(), 100);
  EXPECT_THROW(CacheMap(runs, 99, 100), Error);                            // more held than seen
  EXPECT_THROW(CacheMap(runs, 100, 95), Error);                            // a held position is still to come
  EXPECT_THROW(CacheMap(runs, 100, 101), Error);                           // a gap behind the newest
  EXPECT_THROW(CacheMap(std::vector<HeldRun>{{{4, 4}, 0}}, 9, 9), Error);  // an empty run
  EXPECT_THROW(CacheMap(std::vector<HeldRun>{{{4, 6}, 4}, {{5, 8}, 6}}, 8, 9),
               Error);  // indices that overlap
  EXPECT_THROW(CacheMap(std::vector<HeldRun>{{{4, 6}, 4}, {{7, 8}, 5}}, 8, 6),
               Error);  // positions that overlap
}

}  // namespace
}  // namespace kvevict
