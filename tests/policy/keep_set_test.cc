#include "kvevict/keep_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "kvevict/error.h"

namespace kvevict {
namespace {

using IndexSet = std::set<std::int64_t>;

constexpr int kUniverse = 40;

IndexSet as_set(const KeepSet& set) {
  const auto indices = set.to_indices();
  return {indices.begin(), indices.end()};
}

KeepSet from_set(const IndexSet& set) {
  return KeepSet::from_indices(std::vector<std::int64_t>(set.begin(), set.end()));
}

void expect_canonical(const KeepSet& set) {
  std::int64_t last_end = -1;
  for (const TokenRange& range : set.ranges()) {
    EXPECT_LT(range.begin, range.end);
    EXPECT_GT(range.begin, last_end) << "ranges must be apart, or they are not maximal";
    last_end = range.end;
  }
}

IndexSet random_set(std::mt19937& random) {
  IndexSet set;
  std::bernoulli_distribution is_in(std::uniform_real_distribution<>(0.05, 0.95)(random));
  for (int i = 0; i < kUniverse; ++i) {
    if (is_in(random)) set.insert(i);
  }
  return set;
}

TEST(KeepSetTest, RandomSetsBehaveAsStdSets) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const IndexSet a = random_set(random);
    const IndexSet b = random_set(random);
    const KeepSet set_a = from_set(a);
    const KeepSet set_b = from_set(b);
    expect_canonical(set_a);
    ASSERT_EQ(as_set(set_a), a);
    ASSERT_EQ(set_a.count(), static_cast<std::int64_t>(a.size()));
    ASSERT_EQ(set_a.end(), a.empty() ? 0 : *a.rbegin() + 1);

    IndexSet both, either = a, only_a;
    either.insert(b.begin(), b.end());
    for (const auto i : a) (b.contains(i) ? both : only_a).insert(i);
    for (const auto& [result, expected] : {std::pair{set_a.intersect(set_b), both},
                                           {set_a.unite(set_b), either},
                                           {set_a.subtract(set_b), only_a}}) {
      expect_canonical(result);
      ASSERT_EQ(as_set(result), expected);
    }
    for (int i = -1; i <= kUniverse; ++i) ASSERT_EQ(set_a.contains(i), a.contains(i)) << i;
  }
}

TEST(KeepSetTest, RemovedRangesAreTheComplement) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    const IndexSet kept = random_set(random);
    const std::int64_t n_tokens = std::uniform_int_distribution<>(0, kUniverse + 10)(random);
    KeepSet removed;
    from_set(kept).for_each_removed(n_tokens, [&](TokenRange range) {
      ASSERT_LT(range.begin, range.end);
      ASSERT_TRUE(removed.empty() || removed.end() < range.begin) << "removed ranges must be maximal";
      removed.append(range.begin, range.end);
    });
    for (std::int64_t i = 0; i < n_tokens; ++i) ASSERT_NE(removed.contains(i), kept.contains(i)) << i;
    ASSERT_LE(removed.end(), n_tokens);
  }
}

TEST(KeepSetTest, MergeWithHistoryNeverBringsAnEvictedTokenBack) {
  std::mt19937 random(13);
  for (int round = 0; round < 500; ++round) {
    const std::int64_t n_cached = std::uniform_int_distribution<>(0, kUniverse)(random);
    IndexSet history = random_set(random);
    std::erase_if(history, [&](std::int64_t i) { return i >= n_cached; });
    const IndexSet wanted = random_set(random);
    IndexSet expected;
    for (const auto i : wanted) {
      if (i >= n_cached || history.contains(i)) expected.insert(i);
    }
    const KeepSet merged = from_set(history).merge_with_history(from_set(wanted), n_cached);
    expect_canonical(merged);
    ASSERT_EQ(as_set(merged), expected);
  }
}

TEST(KeepSetTest, RangesInAnyOrderBecomeMaximal) {
  const KeepSet set = KeepSet::from_ranges({{30, 40}, {0, 5}, {5, 9}, {7, 7}, {35, 50}});
  EXPECT_EQ(set, KeepSet::from_ranges({{0, 9}, {30, 50}}));
  EXPECT_EQ(set.ranges().size(), 2U);
}

TEST(KeepSetTest, APlanForAMillionTokensCostsItsRanges) {
  KeepSet set = KeepSet::all(1'000'000'000);
  EXPECT_EQ(set.ranges().size(), 1U);
  EXPECT_EQ(set.count(), 1'000'000'000);
  set = set.subtract(KeepSet::from_ranges({{256, 999'999'488}}));
  EXPECT_EQ(set.ranges().size(), 2U);
  EXPECT_EQ(set.count(), 768);
}

TEST(KeepSetTest, ImpossibleRangesAreRefused) {
  EXPECT_THROW((void)KeepSet::from_ranges({{-1, 4}}), Error);
  EXPECT_THROW((void)KeepSet::from_ranges({{4, 3}}), Error);
  EXPECT_THROW((void)KeepSet::from_indices(std::vector<std::int64_t>{3, -2}), Error);
  KeepSet set = KeepSet::from_ranges({{10, 20}});
  EXPECT_THROW(set.append(5, 8), Error);
  EXPECT_EQ(set.count(), 10);
}

}  // namespace
}  // namespace kvevict
