#include "policy/ladder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kvevict/error.h"

namespace kvevict {
namespace {

/// The definition, a layer at a time and a group at a time: slow and obvious.
class SlowLadder {
 public:
  SlowLadder(const LadderShape& shape, const SimpleEvictConfig& config)
      : shape_(shape), config_(config), rows_(static_cast<std::size_t>(shape.n_layers)) {}

  void see(std::int64_t n_tokens_seen) {
    for (; n_seen_ < n_tokens_seen; ++n_seen_) {
      for (auto& layer : rows_) layer.push_back(n_seen_);
    }
    const std::int64_t budget = config_.sink_tokens + config_.recent_tokens + config_.middle_budget_tokens;
    while (n_rows() > budget) {
      if (cursor_ + shape_.group > n_rows() - config_.recent_tokens) cursor_ = config_.sink_tokens;
      thin_group();
    }
  }

  [[nodiscard]] KeepSet layer(std::size_t l) const { return KeepSet::from_indices(rows_[l]); }

 private:
  [[nodiscard]] std::int64_t n_rows() const { return static_cast<std::int64_t>(rows_.front().size()); }

  void thin_group() {
    for (std::size_t l = 0; l < rows_.size(); ++l) {
      const auto phase = static_cast<std::int64_t>(l) % (shape_.group - shape_.kept + 1);
      std::vector<std::int64_t> left;
      for (std::int64_t row = 0; row < static_cast<std::int64_t>(rows_[l].size()); ++row) {
        const std::int64_t in_group = row - cursor_;
        const bool is_kept = in_group >= phase && in_group < phase + shape_.kept;
        if (in_group < 0 || in_group >= shape_.group || is_kept) {
          left.push_back(rows_[l][static_cast<std::size_t>(row)]);
        }
      }
      rows_[l] = left;
    }
    cursor_ += shape_.kept;
  }

  LadderShape shape_;
  SimpleEvictConfig config_;
  std::vector<std::vector<std::int64_t>> rows_;
  std::int64_t n_seen_ = 0;
  std::int64_t cursor_ = config_.sink_tokens;
};

std::string refusal(const std::string& strategy, std::int64_t n_layers, std::int64_t n_tokens = 10) {
  try {
    PolicyState state{.n_layers = n_layers};
    (void)make_policy(strategy)->plan(n_tokens, state);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was refused";
}

/// The row at which the next thinning begins.
std::int64_t cursor_of(const PolicyState& state) {
  return dynamic_cast<const LadderRows&>(*state.memory.get()).cursor;
}

class LadderTest : public testing::Test {
 protected:
  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

  /// A ladder that can compress, with values of its own.
  StrategySpec random_ladder() {
    for (;;) {
      StrategySpec spec = parse_strategy("ladder");
      spec.layers = draw(2, 12);
      spec.span = draw(0, spec.layers);
      spec.overlap = draw(0, std::max<std::int64_t>(0, spec.span - 1));
      spec.config.sink_tokens = draw(0, 6);
      spec.config.recent_tokens = draw(1, 20);
      try {
        const LadderShape shape = ladder_shape(spec.layers, spec.span, spec.overlap);
        spec.config.middle_budget_tokens = shape.group + draw(0, 40);
        return spec;
      } catch (const Error&) {  // cannot compress: another one
      }
    }
  }

 private:
  std::mt19937 random_{11};
};

TEST_F(LadderTest, ShapesOfTheFormulas) {
  const auto expect = [](std::int64_t n_layers, std::int64_t span, std::int64_t overlap, std::int64_t group,
                         std::int64_t kept) {
    const LadderShape shape = ladder_shape(n_layers, span, overlap);
    EXPECT_EQ(shape.group, group) << n_layers << " " << span << " " << overlap;
    EXPECT_EQ(shape.kept, kept) << n_layers << " " << span << " " << overlap;
  };
  expect(32, 16, 0, 2, 1);  // LaCache's most common one
  expect(32, 8, 4, 7, 2);
  expect(32, 9, 3, 5, 2);
  expect(24, 9, 7, 9, 5);
  expect(28, 14, 0, 2, 1);
  expect(30, 1, 0, 30, 1);
  for (std::int64_t n = 2; n <= 200; ++n) {  // the default can always compress
    expect(n, 0, 0, 2, 1);
  }
}

TEST_F(LadderTest, AWorkedCase) {
  // 3 layers, span 1: groups of 3 rows, 1 kept, phases 0, 1, 2; 1 sink, 2 recent, 3 between: 6 rows
  const auto policy = make_policy("ladder:1:2:3:span=1");
  PolicyState state{.n_layers = 3};
  EXPECT_EQ(policy->plan(6, state).layer(2), KeepSet::all(6));
  KeepPlan plan = policy->plan(7, state);  // rows 1 2 3 are a group
  EXPECT_EQ(plan.layer(0), KeepSet::from_ranges({{0, 2}, {4, 7}}));
  EXPECT_EQ(plan.layer(1), KeepSet::from_ranges({{0, 1}, {2, 3}, {4, 7}}));
  EXPECT_EQ(plan.layer(2), KeepSet::from_ranges({{0, 1}, {3, 7}}));
  EXPECT_EQ(cursor_of(state), 2);
  plan = policy->plan(9, state);  // rows 2 3 4, tokens 4 5 6
  EXPECT_EQ(plan.layer(0), KeepSet::from_ranges({{0, 2}, {4, 5}, {7, 9}}));
  EXPECT_EQ(plan.layer(1), KeepSet::from_ranges({{0, 1}, {2, 3}, {5, 6}, {7, 9}}));
  EXPECT_EQ(plan.layer(2), KeepSet::from_ranges({{0, 1}, {3, 4}, {6, 9}}));
  EXPECT_EQ(cursor_of(state), 3);
  plan = policy->plan(11, state);  // the cursor returns: 3 + 3 > 7 - 2; rows 1 2 3
  EXPECT_EQ(plan.layer(0), KeepSet::from_ranges({{0, 2}, {8, 11}}));
  EXPECT_EQ(plan.layer(1), KeepSet::from_ranges({{0, 1}, {5, 6}, {8, 11}}));
  EXPECT_EQ(plan.layer(2), KeepSet::from_ranges({{0, 1}, {7, 11}}));
}

TEST_F(LadderTest, IsTheDefinitionWithRandomValuesAndSteps) {
  for (int round = 0; round < 300; ++round) {
    const StrategySpec spec = random_ladder();
    const auto policy = make_policy(spec);
    const LadderShape shape = ladder_shape(spec.layers, spec.span, spec.overlap);
    PolicyState state{.schedule = round % 2 == 0 ? Schedule::kOneShot : Schedule::kStreaming};
    SlowLadder slow(shape, spec.config);
    const std::int64_t most_step = draw(1, 90);
    for (std::int64_t n = draw(0, 150); n < 500; n += draw(1, most_step)) {
      const KeepPlan plan = policy->plan(n, state);
      slow.see(n);
      for (std::size_t l = 0; l < static_cast<std::size_t>(spec.layers); ++l) {
        ASSERT_EQ(plan.layer(l), slow.layer(l)) << to_string(spec) << ", layer " << l << " at " << n;
      }
    }
  }
}

TEST_F(LadderTest, HoldsItsBudgetHoweverLongTheStreamAndCoversMore) {
  for (int round = 0; round < 40; ++round) {
    const StrategySpec spec = random_ladder();
    const auto policy = make_policy(spec);
    PolicyState state;
    const std::int64_t budget = *policy->budget_tokens(state);
    std::int64_t n = 0;
    for (int step = 0; step < 400; ++step) {
      n += draw(1, 100);
      const KeepPlan plan = policy->plan(n, state);
      std::int64_t n_layer = plan.layer(0).count();
      ASSERT_LE(n_layer, budget);
      for (const KeepSet& set : plan.distinct_sets()) ASSERT_EQ(set.count(), n_layer) << to_string(spec);
      ASSERT_TRUE(plan.layer(1).contains(n - 1));
      if (!plan.is_shared()) {
        ASSERT_GT(plan.in_any_layer().count(), n_layer) << to_string(spec);
      }
    }
  }
}

TEST_F(LadderTest, AMillionTokensAndManyLayersAtOnce) {
  for (const char* strategy :
       {"ladder:4:508:512", "ladder:4:508:512:span=1", "ladder:4:508:512:span=64:overlap=63"}) {
    const auto policy = make_policy(strategy);
    PolicyState state{.n_layers = 128};
    const KeepPlan plan = policy->plan(1 << 20, state);
    EXPECT_LE(plan.count(), 1024) << strategy;
    EXPECT_TRUE(plan.layer(127).contains((1 << 20) - 508)) << strategy;
  }
}

TEST_F(LadderTest, ARepeatedCallChangesNothingAndACutSequenceKeepsWhatIsLeft) {
  for (int round = 0; round < 200; ++round) {
    const StrategySpec spec = random_ladder();
    const auto policy = make_policy(spec);
    PolicyState state;
    KeepPlan held;
    std::int64_t n = 0;
    for (int step = 0; step < 30; ++step) {
      const bool is_cut = draw(0, 4) == 0;
      const std::int64_t n_before = n;
      n = is_cut ? draw(0, n) : n + draw(1, 60);
      const KeepPlan plan = policy->plan(n, state);
      ASSERT_EQ(policy->plan(n, state), plan);
      KeepPlan possible = held;
      possible.append(n_before, n);
      for (std::size_t l = 0; l < static_cast<std::size_t>(spec.layers); ++l) {
        ASSERT_TRUE(plan.layer(l).subtract(possible.layer(l)).empty()) << to_string(spec);
        ASSERT_LE(plan.layer(l).end(), n);
        ASSERT_EQ(plan.layer(l).count(), plan.count()) << to_string(spec) << " at " << n;
        if (!is_cut && n > 0) {
          ASSERT_TRUE(plan.layer(l).contains(n - 1));
        }
      }
      held = plan;
    }
  }
}

TEST_F(LadderTest, WhatCannotCompressIsRefused) {
  EXPECT_NE(refusal("ladder", 1).find("cannot compress 1 layer"), std::string::npos);
  EXPECT_NE(refusal("ladder", 0).find("number of the model's layers"), std::string::npos);
  EXPECT_NE(refusal("ladder:span=30", 30).find("cannot compress"), std::string::npos);
  EXPECT_NE(refusal("ladder:span=31", 30).find("cannot compress"), std::string::npos);
  EXPECT_NE(refusal("ladder:span=20:overlap=19", 30).find("overlap of 19"), std::string::npos);
  EXPECT_NE(refusal("ladder:span=5:overlap=5", 30).find("0 <= overlap < span"), std::string::npos);
  EXPECT_NE(refusal("ladder:overlap=15", 30).find("a span of 15"), std::string::npos);
  EXPECT_NE(refusal("ladder:4:508:1", 30).find("middle budget of 1"), std::string::npos);
  EXPECT_NE(refusal("ladder:layers=31", 30).find("asked for 31 layers and the model has 30"),
            std::string::npos);
  EXPECT_NE(refusal("ladder:span=-1", 30).find("span is -1"), std::string::npos);
  EXPECT_EQ(refusal("ladder:layers=30", 30), "nothing was refused");
  EXPECT_EQ(refusal("ladder:layers=30", 0), "nothing was refused");
  EXPECT_THROW((void)make_policy("ladder:layers=8:span=8"), Error);
}

TEST_F(LadderTest, ThinsAnyNumberOfTokensInChunksAndNotWithoutEndAtOnce) {
  const auto policy = make_policy("ladder");
  PolicyState state{.n_layers = 30};
  EXPECT_THROW((void)policy->plan(kMaxTokens, state), Error);
  EXPECT_NO_THROW((void)policy->plan(100000, state));
  EXPECT_THROW((void)policy->plan(kMaxTokens, state), Error);
  EXPECT_LE(policy->plan(200000, state).count(), 1024);
}

TEST_F(LadderTest, RowsOfAnotherNumberOfLayersAreRefused) {
  const auto policy = make_policy("ladder:1:2:3:span=1");
  PolicyState state{.n_layers = 3};
  (void)policy->plan(20, state);
  state.n_layers = 2;
  EXPECT_THROW((void)policy->plan(21, state), Error);
}

}  // namespace
}  // namespace kvevict
