#include "kvevict/policy.h"

#include <gtest/gtest.h>

#include <random>

#include "kvevict/error.h"

namespace kvevict {
namespace {

/// What every policy of the registry promises, with random values of those that it uses.
class EveryPolicyTest : public testing::TestWithParam<std::string> {
 protected:
  StrategySpec random_spec() {
    StrategySpec spec = parse_strategy(GetParam());
    spec.block_n = draw(1, 16);
    if (policy_info(spec.name).uses_sink_and_recent) {
      spec.config.sink_tokens = draw(0, 20);
      spec.config.recent_tokens = draw(1, 30);
    }
    if (policy_info(spec.name).uses_middle) {
      spec.config.middle_budget_tokens = draw(0, 60);
      spec.config.uniform_stride = draw(0, 2) == 0 ? draw(1, 4) : 0;
    }
    return spec;
  }

  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

 private:
  std::mt19937 random_{29};
};

TEST_P(EveryPolicyTest, KeepsItsPromisesOverAGrowingStream) {
  for (int round = 0; round < 600; ++round) {
    StrategySpec spec = random_spec();
    PolicyState state;
    if (round % 2 == 1) {
      state.schedule = Schedule::kStreaming;
      spec.config.uniform_stride = 0;
    }
    const auto policy = make_policy(spec);
    KeepSet held;
    std::int64_t n_seen = 0;
    while (n_seen < 300) {
      const std::int64_t n_new = draw(1, 80);
      n_seen += n_new;
      const KeepSet kept = policy->plan(n_seen, state).layer(0);
      ASSERT_TRUE(kept.contains(n_seen - 1)) << to_string(spec) << ": the newest token is dropped";
      ASSERT_LE(kept.end(), n_seen);
      const KeepSet possible = held.unite(KeepSet::from_ranges({{n_seen - n_new, n_seen}}));
      ASSERT_TRUE(kept.subtract(possible).empty())
          << to_string(spec) << " asks for an evicted token at " << n_seen;
      ASSERT_EQ(policy->plan(n_seen, state).layer(0), kept)
          << to_string(spec) << ": the same call, another plan";
      if (const auto budget = policy->budget_tokens(state); budget && kept.count() < n_seen) {
        ASSERT_LE(kept.count(), *budget) << to_string(spec);
      }
      held = kept;
    }
  }
}

TEST_P(EveryPolicyTest, LeavesACacheWithinItsBudgetAlone) {
  for (int round = 0; round < 600; ++round) {
    StrategySpec spec = random_spec();
    PolicyState state;
    if (round % 2 == 1) {
      state.schedule = Schedule::kStreaming;
      spec.config.uniform_stride = 0;
    }
    const auto policy = make_policy(spec);
    const std::int64_t n_seen = draw(0, policy->budget_tokens(state).value_or(500));
    EXPECT_EQ(policy->plan(n_seen, state).layer(0), KeepSet::all(n_seen)) << to_string(policy->spec());
  }
}

TEST_P(EveryPolicyTest, NamesItselfWithAVersion) {
  const auto policy = make_policy(parse_strategy(GetParam()));
  EXPECT_EQ(policy->versioned_name().rfind(GetParam() + "/", 0), 0U) << policy->versioned_name();
  EXPECT_EQ(policy->spec(), parse_strategy(GetParam()));
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names;
  for (const PolicyInfo& info : all_policies()) names.emplace_back(info.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryPolicyTest, testing::ValuesIn(policy_names()),
                         [](const auto& name) { return name.param; });

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
