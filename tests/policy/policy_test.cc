#include "kvevict/policy.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "policy/ladder.h"
#include "policy/position_policy.h"

namespace kvevict {
namespace {

TEST(PolicyTest, TheMiddleIsFrozenWhenFirstEvicted) {
  const auto policy = make_policy("sink_recent_uniform:256:512:512");
  PolicyState state;
  (void)policy->plan(4096, state);
  const KeepSet later = policy->plan(6000, state).layer(0);
  EXPECT_EQ(later, KeepSet::from_ranges(
                       {{0, 256}, {640, 768}, {1408, 1536}, {2304, 2432}, {3072, 3200}, {5488, 6000}}));
  EXPECT_EQ(policy->budget_tokens(state), 1280);
}

TEST(PolicyTest, AFrozenMiddleThatIsCutForgetsTheTokensThatWent) {
  const auto policy = make_policy("sink_recent_uniform:256:512:512");
  PolicyState state;
  (void)policy->plan(4096, state);
  state.memory->trim(5000, KeepPlan());
  EXPECT_EQ(policy->budget_tokens(state), 1280) << "all of it is older";
  state.memory->trim(1450, KeepPlan());
  EXPECT_EQ(dynamic_cast<FrozenMiddle&>(*state.memory.get()).tokens,
            KeepSet::from_ranges({{640, 768}, {1408, 1450}}));
  EXPECT_EQ(policy->plan(6000, state).layer(0),
            KeepSet::from_ranges({{0, 256}, {640, 768}, {1408, 1450}, {5488, 6000}}));
  EXPECT_EQ(policy->budget_tokens(state), 256 + 512 + 128 + 42);
  EXPECT_TRUE(state.memory->has_frozen());
  state.memory->trim(600, KeepPlan());
  EXPECT_FALSE(state.memory->has_frozen()) << "nothing is left of it";
  PolicyState fresh;
  EXPECT_EQ(policy->plan(3000, state), policy->plan(3000, fresh)) << "it is chosen anew";
  EXPECT_EQ(state.memory->save(), fresh.memory->save());
}

TEST(PolicyTest, AFrozenMiddleReadsWhatItWroteAndNothingElse) {
  const auto policy = make_policy("sink_recent_uniform:256:512:512");
  for (const char* text : {"none", "", "640-768", "640-768,1408-1536"})
    EXPECT_EQ(policy->load_memory(text, 30)->save(), text);
  EXPECT_FALSE(policy->load_memory("none", 30)->has_frozen());
  EXPECT_TRUE(policy->load_memory("", 30)->has_frozen()) << "a middle of which nothing was kept";
  for (const char* text : {"nothing", "768-640", "640-768@0,0", "91 -1 640-768"}) {
    try {
      (void)policy->load_memory(text, 30);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData);
    }
  }
}

TEST(PolicyTest, RowsOfALadderThatAreCutAreThoseThatAreHeld) {
  const auto policy = make_policy("ladder:1:2:3:span=1");
  PolicyState state{.n_layers = 3};
  const KeepPlan plan = policy->plan(9, state);
  auto& rows = dynamic_cast<LadderRows&>(*state.memory.get());
  rows.trim(9, KeepPlan());
  EXPECT_EQ(rows.kept, plan) << "no token went";
  const KeepPlan held = plan.intersect(KeepPlan(KeepSet::all(8)));
  rows.trim(8, held);
  EXPECT_EQ(rows.kept, held);
  EXPECT_EQ(rows.n_tokens_seen, 8);
  EXPECT_EQ(policy->plan(8, state), held);
  EXPECT_EQ(policy->plan(9, state), plan) << "another token has come in its place";
}

TEST(PolicyTest, ALadderReadsWhatItWroteAndNothingElse) {
  const auto policy = make_policy("ladder:1:2:3:span=1");
  PolicyState state{.n_layers = 3};
  (void)policy->plan(9, state);
  const std::string saved = state.memory->save();
  EXPECT_EQ(policy->load_memory(saved, 3)->save(), saved);
  EXPECT_EQ(policy->load_memory("4 -1 0-4", 3)->save(), "4 -1 0-4");
  EXPECT_EQ(policy->load_memory("0 -1 ", 3)->save(), "0 -1 ");
  for (const char* text : {"", "none", "4", "-1 1 ", "4 -2 0-4", "4 1 0-5", "4 1 0-4@0,0", "4 1 x",
                           "4 1 0-4|0-3@0,1,1", "4 1 0-4 more", "99999999999999999999 1 0-4"}) {
    try {
      (void)policy->load_memory(text, 3);
      ADD_FAILURE() << '"' << text << '"';
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData);
    }
  }
}

TEST(PolicyTest, StreamingLlmPacksPositions) {
  EXPECT_EQ(make_policy("streaming_llm")->required_positions(), PositionMode::kPacked);
  EXPECT_FALSE(make_policy("sink_recent")->required_positions().has_value());
}

TEST(PolicyTest, FullHasNoBudget) {
  PolicyState state;
  EXPECT_FALSE(make_policy("full")->budget_tokens(state).has_value());
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
