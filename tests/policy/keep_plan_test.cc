#include "kvevict/keep_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

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

/// Whether the text is refused as no keep plan.
bool is_refused(const std::string& text) {
  try {
    (void)keep_plan_from_text(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    return true;
  }
  return false;
}

TEST(KeepPlanText, SaysTheSetsAndThenTheSetOfEachLayer) {
  EXPECT_EQ(to_text(KeepPlan(KeepSet::from_ranges({{0, 256}, {640, 768}}))), "0-256,640-768");
  EXPECT_EQ(to_text(KeepPlan({KeepSet::all(4), KeepSet::from_ranges({{0, 2}, {6, 8}})}, {0, 1, 1})),
            "0-4|0-2,6-8@0,1,1");
  EXPECT_EQ(to_text(KeepPlan()), "");
  EXPECT_EQ(to_text(KeepPlan({KeepSet()}, {0, 0})), "@0,0");
}

TEST(KeepPlanText, ReadsBackToAnEqualPlan) {
  std::mt19937 random(6);
  for (int round = 0; round < 1000; ++round) {
    const KeepPlan plan = random_plan(random);
    ASSERT_EQ(keep_plan_from_text(to_text(plan)), plan) << to_text(plan);
  }
  const KeepPlan plans[] = {KeepPlan(),
                            KeepPlan(KeepSet::all(1)),
                            KeepPlan(KeepSet::from_ranges({{2147483646, 2147483647}})),
                            KeepPlan({KeepSet()}, {0}),
                            KeepPlan({KeepSet(), KeepSet::all(3)}, {0, 1}),
                            KeepPlan({KeepSet::all(3), KeepSet()}, {1, 0}),
                            KeepPlan({KeepSet(), KeepSet()}, {1, 0}),
                            KeepPlan({KeepSet::all(3), KeepSet::all(9)}, {1, 1, 1})};
  for (const KeepPlan& plan : plans) {
    EXPECT_EQ(keep_plan_from_text(to_text(plan)), plan) << to_text(plan);
    EXPECT_EQ(keep_plan_from_text(to_text(plan)).is_shared(), plan.is_shared()) << to_text(plan);
  }
}

TEST(KeepPlanText, RefusesWhatIsNoPlan) {
  for (const char* text : {"none",
                           "7",
                           "0-",
                           "-4",
                           "0-4,",
                           ",0-4",
                           "0-4,,6-8",
                           "0-4 ",
                           " 0-4",
                           "0-4\n",
                           "0--4",
                           "-1-4",
                           "+0-4",
                           "0-4-6",
                           "4-0",
                           "4-4",
                           "0-4,2-6",
                           "0-4,4-6",
                           "6-8,0-4",
                           "0-4.5",
                           "0x0-4",
                           "a-b",
                           "0-99999999999999999999",
                           "|",
                           "0-4|0-8",
                           "0-4|",
                           "@",
                           "0-4@",
                           "0-4@1",
                           "0-4@-1",
                           "0-4@0,",
                           "0-4@,0",
                           "0-4@a",
                           "0-4@0@0",
                           "0-4|0-8@0,2",
                           "0-4|x@0,0",
                           "0-4@99999999999999999999",
                           "@0|0-4"}) {
    EXPECT_TRUE(is_refused(text)) << '"' << text << '"';
  }
  EXPECT_TRUE(is_refused(std::string("0-4\0", 4)));
}

TEST(KeepPlanText, DamageIsRefusedOrGivesAPlan) {
  std::mt19937 random(7);
  constexpr std::string_view kCharacters = "0123456789-,|@ x";
  for (int round = 0; round < 5000; ++round) {
    std::string text = to_text(random_plan(random));
    for (std::size_t i = 0; i < 1 + random() % 3 && !text.empty(); ++i)
      text[random() % text.size()] = kCharacters[random() % kCharacters.size()];
    if (is_refused(text)) continue;
    const KeepPlan plan = keep_plan_from_text(text);
    ASSERT_EQ(keep_plan_from_text(to_text(plan)), plan) << text;
    for (const KeepSet& set : plan.distinct_sets())
      ASSERT_EQ(KeepSet::from_indices(set.to_indices()), set) << text << ": not sorted or not maximal";
  }
}

}  // namespace
}  // namespace kvevict
