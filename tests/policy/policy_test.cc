#include "kvevict/policy.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"

namespace kvevict {
namespace {

TEST(PolicyTest, TheMiddleIsFrozenWhenFirstEvicted) {
  const auto policy = make_policy(parse_strategy("sink_recent_uniform:256:512:512"));
  PolicyState state;
  (void)policy->plan(4096, state);
  const KeepSet later = policy->plan(6000, state).layer(0);
  EXPECT_EQ(later, KeepSet::from_ranges(
                       {{0, 256}, {640, 768}, {1408, 1536}, {2304, 2432}, {3072, 3200}, {5488, 6000}}));
  EXPECT_EQ(policy->budget_tokens(state), 1280);
}

TEST(PolicyTest, StreamingLlmPacksPositions) {
  EXPECT_EQ(make_policy(parse_strategy("streaming_llm"))->required_positions(), PositionMode::kPacked);
  EXPECT_FALSE(make_policy(parse_strategy("sink_recent"))->required_positions().has_value());
}

TEST(PolicyTest, FullHasNoBudget) {
  PolicyState state;
  EXPECT_FALSE(make_policy(parse_strategy("full"))->budget_tokens(state).has_value());
}

TEST(PolicyTest, ASpecOutOfRangeIsRefused) {
  StrategySpec spec = parse_strategy("sink_recent");
  spec.config.recent_tokens = 0;
  EXPECT_THROW((void)make_policy(spec), Error);
  spec.name = "unheard_of";
  EXPECT_THROW((void)make_policy(spec), Error);
}

}  // namespace
}  // namespace kvevict
