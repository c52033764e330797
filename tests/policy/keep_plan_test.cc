#include "kvevict/keep_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr std::size_t kLayers = 4;
constexpr std::int64_t kUniverse = 40;

KeepSet random_set(std::mt19937& random) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < kUniverse; ++i) {
    if (random() % 3 != 0) indices.push_back(i);
  }
  return KeepSet::from_indices(indices);
}

KeepPlan random_plan(std::mt19937& random) {
  if (random() % 3 == 0) return KeepPlan(random_set(random));
  std::vector<KeepSet> sets;
  for (std::size_t i = 0; i < 1 + random() % 3; ++i) sets.push_back(random_set(random));
  std::vector<std::size_t> set_of_layer;
  for (std::size_t l = 0; l < kLayers; ++l) set_of_layer.push_back(random() % sets.size());
  return {std::move(sets), std::move(set_of_layer)};
}

TEST(KeepPlanTest, CombinesLayerByLayer) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const KeepPlan a = random_plan(random);
    const KeepPlan b = random_plan(random);
    const KeepPlan both = a.intersect(b);
    const KeepPlan history = a.intersect(KeepPlan(KeepSet::all(25)));
    const KeepPlan merged = history.merge_with_history(b, 25);
    ASSERT_EQ(both.is_shared(), a.is_shared() && b.is_shared());
    ASSERT_LE(both.distinct_sets().size(), kLayers);
    std::int64_t most = 0;
    KeepSet any;
    for (std::size_t l = 0; l < kLayers; ++l) {
      ASSERT_EQ(both.layer(l), a.layer(l).intersect(b.layer(l)));
      ASSERT_EQ(merged.layer(l), history.layer(l).merge_with_history(b.layer(l), 25));
      most = std::max(most, a.layer(l).count());
      any = any.unite(a.layer(l));
    }
    ASSERT_EQ(a.by_layer().size(), a.is_shared() ? 1 : kLayers);
    if (a.distinct_sets().size() == 1) {
      ASSERT_EQ(a.count(), most);
      ASSERT_EQ(a.in_any_layer(), any);
    }
  }
}

TEST(KeepPlanTest, ALayerOfATemporaryPlanDoesNotDangle) {
  std::int64_t n = 0;
  const KeepSet set = KeepPlan({KeepSet::all(3), KeepSet::all(5)}, {0, 1}).layer(1);
  for (const TokenRange& range : set.ranges()) n += range.count();
  EXPECT_EQ(n, 5);
}

TEST(KeepPlanTest, AppendsToEveryLayer) {
  KeepPlan plan({KeepSet::all(3), KeepSet::all(5)}, {0, 1, 0});
  plan.append(8, 10);
  EXPECT_EQ(plan.layer(0), KeepSet::from_ranges({{0, 3}, {8, 10}}));
  EXPECT_EQ(plan.layer(1), KeepSet::from_ranges({{0, 5}, {8, 10}}));
  EXPECT_EQ(plan.count(), 7);
  KeepPlan nothing;
  EXPECT_TRUE(nothing.is_shared());
  EXPECT_EQ(nothing.count(), 0);
}

TEST(KeepPlanTest, RefusesSetsThatAreNotThereAndOtherNumbersOfLayers) {
  EXPECT_THROW(KeepPlan({KeepSet::all(3)}, {0, 1}), Error);
  EXPECT_THROW(KeepPlan({KeepSet::all(3)}, {}), Error);
  const KeepPlan two({KeepSet::all(3)}, {0, 0});
  const KeepPlan three({KeepSet::all(3)}, {0, 0, 0});
  EXPECT_THROW((void)two.intersect(three), Error);
}

}  // namespace
}  // namespace kvevict
