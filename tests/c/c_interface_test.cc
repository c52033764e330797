#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/kvevict_c.h"
#include "kvevict/registry.h"
#include "kvevict/version.h"

namespace kvevict {
namespace {

template <auto Free>
struct Freed {
  template <typename Handle>
  void operator()(Handle* handle) const {
    Free(handle);
  }
};
using PolicyHandle = std::unique_ptr<kvevict_policy, Freed<&kvevict_policy_free>>;
using SequenceHandle = std::unique_ptr<kvevict_sequence, Freed<&kvevict_sequence_free>>;
using PlanHandle = std::unique_ptr<kvevict_plan, Freed<&kvevict_plan_free>>;

PolicyHandle policy_of(const std::string& strategy) {
  kvevict_policy* policy = nullptr;
  EXPECT_EQ(kvevict_policy_make(strategy.c_str(), &policy), KVEVICT_OK) << kvevict_last_error();
  return PolicyHandle(policy);
}

SequenceHandle sequence_of(const kvevict_policy* policy, std::int32_t schedule, std::int64_t n_layers = 0) {
  kvevict_sequence* sequence = nullptr;
  EXPECT_EQ(kvevict_sequence_make(policy, schedule, n_layers, &sequence), KVEVICT_OK) << kvevict_last_error();
  return SequenceHandle(sequence);
}

PlanHandle plan_of(kvevict_sequence* sequence, std::int64_t n_tokens) {
  kvevict_plan* plan = nullptr;
  EXPECT_EQ(kvevict_sequence_plan(sequence, n_tokens, &plan), KVEVICT_OK) << kvevict_last_error();
  return PlanHandle(plan);
}

KeepSet set_of(const kvevict_plan* plan, std::int64_t layer) {
  const kvevict_range* ranges = nullptr;
  std::size_t n_ranges = 0;
  EXPECT_EQ(kvevict_plan_ranges(plan, layer, &ranges, &n_ranges), KVEVICT_OK) << kvevict_last_error();
  KeepSet set;
  for (std::size_t i = 0; i < n_ranges; ++i) set.append(ranges[i].begin, ranges[i].end);
  return set;
}

/// The last error's sentence, once it is sure that `status` is the one that a bad value gets.
std::string refusal(kvevict_status status) {
  EXPECT_EQ(status, KVEVICT_INVALID_ARGUMENT);
  return kvevict_last_error();
}

void expect_same(const KeepPlan& expected, const kvevict_plan* plan, const std::string& what) {
  std::int64_t n_layers = -1;
  std::int64_t n_kept = -1;
  ASSERT_EQ(kvevict_plan_layers(plan, &n_layers), KVEVICT_OK);
  ASSERT_EQ(kvevict_plan_count(plan, &n_kept), KVEVICT_OK);
  EXPECT_EQ(n_layers, static_cast<std::int64_t>(expected.n_layers())) << what;
  EXPECT_EQ(n_kept, expected.count()) << what;
  const std::vector<KeepSet> sets = expected.by_layer();
  for (std::size_t layer = 0; layer < sets.size(); ++layer) {
    EXPECT_EQ(set_of(plan, static_cast<std::int64_t>(layer)), sets[layer]) << what << ", layer " << layer;
  }
}

/// Values of every kind, some of which no policy can have.
std::string random_strategy(const PolicyInfo& info, std::mt19937& random) {
  std::string text = info.name;
  for (const StrategyKey& key : strategy_keys()) {
    if (!info.uses(key.name) || random() % 3 == 0) continue;
    std::int64_t value = std::min<std::int64_t>(key.most, key.least + random() % 40);
    if (key.is_odd) value |= 1;
    text += ":" + key.name + "=" + key.text_of(value);
  }
  return text;
}

/// The same calls of both interfaces, step by step along a sequence that grows.
void compare_along_a_sequence(const std::shared_ptr<const Policy>& policy, const std::string& strategy,
                              std::mt19937& random) {
  const std::int64_t n_layers = static_cast<std::int64_t>(random() % 8);
  const bool is_stream = random() % 2 == 0;
  const PolicyHandle handle = policy_of(strategy);
  const SequenceHandle sequence =
      sequence_of(handle.get(), is_stream ? KVEVICT_STREAMING : KVEVICT_ONE_SHOT, n_layers);
  PolicyState state{.schedule = is_stream ? Schedule::kStreaming : Schedule::kOneShot, .n_layers = n_layers};
  std::int64_t n_tokens = 0;
  for (int step = 0; step < 6; ++step) {
    n_tokens += static_cast<std::int64_t>(random() % 150);
    const std::string what = strategy + " at " + std::to_string(n_tokens);
    kvevict_plan* plan = nullptr;
    const kvevict_status status = kvevict_sequence_plan(sequence.get(), n_tokens, &plan);
    const PlanHandle owner(plan);
    try {
      const KeepPlan expected = policy->plan(n_tokens, state);
      ASSERT_EQ(status, KVEVICT_OK) << what << ": " << kvevict_last_error();
      expect_same(expected, plan, what);
      std::int64_t n_budget = 0;
      ASSERT_EQ(kvevict_sequence_budget(sequence.get(), &n_budget), KVEVICT_OK);
      EXPECT_EQ(n_budget, policy->budget_tokens(state).value_or(KVEVICT_NO_BUDGET)) << what;
    } catch (const Error& error) {
      EXPECT_EQ(status, KVEVICT_INVALID_ARGUMENT) << what;
      EXPECT_STREQ(kvevict_last_error(), error.what());
      EXPECT_EQ(plan, nullptr);
    }
  }
}

TEST(CInterface, PlansAreThoseOfCppForEveryStrategy) {
  std::mt19937 random(20);
  int n_compared = 0;
  for (const PolicyInfo& info : all_policies()) {
    for (int i = 0; i < 200; ++i) {
      const std::string strategy = random_strategy(info, random);
      kvevict_policy* made = nullptr;
      const kvevict_status status = kvevict_policy_make(strategy.c_str(), &made);
      const PolicyHandle owner(made);
      try {
        const std::shared_ptr<const Policy> policy = make_policy(strategy);
        ASSERT_EQ(status, KVEVICT_OK) << strategy << ": " << kvevict_last_error();
        compare_along_a_sequence(policy, strategy, random);
        ++n_compared;
      } catch (const Error& error) {
        EXPECT_EQ(status, KVEVICT_INVALID_ARGUMENT) << strategy;
        EXPECT_STREQ(kvevict_last_error(), error.what());
        EXPECT_EQ(made, nullptr);
      }
    }
  }
  EXPECT_GT(n_compared, 800);
}

TEST(CInterface, TellsItsVersionAndStrategies) {
  EXPECT_STREQ(kvevict_version(), KVEVICT_VERSION);
  EXPECT_STREQ(version(), KVEVICT_VERSION);
  EXPECT_EQ(kvevict_c_version(), KVEVICT_C_VERSION);
  std::size_t n_strategies = 0;
  ASSERT_EQ(kvevict_strategy_count(&n_strategies), KVEVICT_OK);
  ASSERT_EQ(n_strategies, all_policies().size());
  for (std::size_t i = 0; i < n_strategies; ++i) {
    const char* name = nullptr;
    ASSERT_EQ(kvevict_strategy_name(i, &name), KVEVICT_OK);
    EXPECT_EQ(name, all_policies()[i].get().name);
  }
  const char* name = nullptr;
  EXPECT_NE(refusal(kvevict_strategy_name(n_strategies, &name)).find("there is no strategy number"),
            std::string::npos);
}

TEST(CInterface, DescribesAPolicy) {
  kvevict_policy_info info;
  const PolicyHandle streaming = policy_of("streaming_llm:4:60");
  ASSERT_EQ(kvevict_policy_describe(streaming.get(), &info), KVEVICT_OK);
  EXPECT_STREQ(info.strategy, "streaming_llm:4:60");
  EXPECT_EQ(std::string(info.name).find("streaming_llm/"), 0U);
  EXPECT_EQ(info.positions, KVEVICT_PACKED);
  EXPECT_FALSE(info.keeps_all || info.is_per_layer || info.needs_cache);
  const PolicyHandle full = policy_of("full");
  ASSERT_EQ(kvevict_policy_describe(full.get(), &info), KVEVICT_OK);
  EXPECT_TRUE(info.keeps_all);
  EXPECT_EQ(info.positions, KVEVICT_ANY_POSITIONS);
  const PolicyHandle h2o = policy_of("h2o");
  ASSERT_EQ(kvevict_policy_describe(h2o.get(), &info), KVEVICT_OK);
  EXPECT_TRUE(info.needs_cache);
  const PolicyHandle ladder = policy_of("ladder");
  ASSERT_EQ(kvevict_policy_describe(ladder.get(), &info), KVEVICT_OK);
  EXPECT_TRUE(info.is_per_layer);
}

TEST(CInterface, ABudgetOrNone) {
  std::int64_t n_tokens = 0;
  const PolicyHandle bounded = policy_of("sink_recent:4:60");
  ASSERT_EQ(kvevict_policy_budget(bounded.get(), KVEVICT_STREAMING, 0, &n_tokens), KVEVICT_OK);
  EXPECT_EQ(n_tokens, 64);
  const PolicyHandle full = policy_of("full");
  ASSERT_EQ(kvevict_policy_budget(full.get(), KVEVICT_ONE_SHOT, 0, &n_tokens), KVEVICT_OK);
  EXPECT_EQ(n_tokens, KVEVICT_NO_BUDGET);
}

TEST(CInterface, RefusesBadStrategiesAndKeepsTheSentence) {
  kvevict_policy* policy = reinterpret_cast<kvevict_policy*>(&policy);
  EXPECT_NE(refusal(kvevict_policy_make("nothing_like_it", &policy)).find("nothing_like_it"),
            std::string::npos);
  EXPECT_EQ(policy, nullptr);
  EXPECT_NE(refusal(kvevict_policy_make("sink_recent:4:0", &policy)).find("recent"), std::string::npos);
  const std::string sentence = kvevict_last_error();
  const PolicyHandle good = policy_of("sink_recent:4:60");
  EXPECT_EQ(kvevict_last_error(), sentence) << "a call that works leaves the sentence alone";
  std::string elsewhere = "unset";
  std::thread([&] { elsewhere = kvevict_last_error(); }).join();
  EXPECT_EQ(elsewhere, "");
}

TEST(CInterface, RefusesAStrideInAStream) {
  const PolicyHandle policy = policy_of("sink_recent_uniform:4:28:stride=2");
  const SequenceHandle sequence = sequence_of(policy.get(), KVEVICT_STREAMING);
  kvevict_plan* plan = nullptr;
  std::int64_t n_tokens = 5;
  EXPECT_NE(refusal(kvevict_sequence_plan(sequence.get(), 1000, &plan)).find("stride"), std::string::npos);
  EXPECT_EQ(plan, nullptr);
  EXPECT_NE(refusal(kvevict_sequence_budget(sequence.get(), &n_tokens)).find("stride"), std::string::npos);
  EXPECT_EQ(n_tokens, 5) << "a call that fails leaves its results alone";
  EXPECT_NE(refusal(kvevict_plan_make(policy.get(), 1000, KVEVICT_STREAMING, 0, &plan)).find("stride"),
            std::string::npos);
  EXPECT_EQ(kvevict_plan_make(policy.get(), 1000, KVEVICT_ONE_SHOT, 0, &plan), KVEVICT_OK);
  kvevict_plan_free(plan);
}

TEST(CInterface, RefusesNumbersThatCannotBe) {
  const PolicyHandle policy = policy_of("sink_recent:4:60");
  kvevict_sequence* sequence = nullptr;
  EXPECT_NE(refusal(kvevict_sequence_make(policy.get(), 7, 0, &sequence)).find("schedule 7"),
            std::string::npos);
  EXPECT_NE(refusal(kvevict_sequence_make(policy.get(), KVEVICT_ONE_SHOT, -1, &sequence)).find("-1 layers"),
            std::string::npos);
  EXPECT_EQ(sequence, nullptr);
  kvevict_plan* made = nullptr;
  EXPECT_NE(refusal(kvevict_plan_make(policy.get(), -1, KVEVICT_ONE_SHOT, 0, &made)), "");
  ASSERT_EQ(kvevict_plan_make(policy.get(), 100, KVEVICT_ONE_SHOT, 0, &made), KVEVICT_OK);
  const PlanHandle plan(made);
  const kvevict_range* ranges = nullptr;
  std::size_t n = 0;
  EXPECT_NE(refusal(kvevict_plan_ranges(made, -1, &ranges, &n)).find("no layer -1"), std::string::npos);
  EXPECT_EQ(kvevict_plan_ranges(made, 31, &ranges, &n), KVEVICT_OK) << "a shared plan has every layer";
  EXPECT_NE(refusal(kvevict_plan_append(made, -1, 5)).find("[-1, 5)"), std::string::npos);
  EXPECT_NE(refusal(kvevict_plan_append(made, 3, 5)), "");
  EXPECT_NE(refusal(kvevict_plan_append(made, 9, 5)), "");
  const PolicyHandle ladder = policy_of("ladder:4:28:32");
  ASSERT_EQ(kvevict_plan_make(ladder.get(), 500, KVEVICT_ONE_SHOT, 4, &made), KVEVICT_OK);
  const PlanHandle layered(made);
  EXPECT_NE(refusal(kvevict_plan_ranges(made, 4, &ranges, &n)).find("no layer 4"), std::string::npos);
  EXPECT_NE(refusal(kvevict_plan_make(ladder.get(), 500, KVEVICT_ONE_SHOT, 0, &made)).find("layers"),
            std::string::npos);
}

TEST(CInterface, GivesIndicesOneByOne) {
  const PolicyHandle policy = policy_of("sink_recent:2:3");
  kvevict_plan* made = nullptr;
  ASSERT_EQ(kvevict_plan_make(policy.get(), 10, KVEVICT_ONE_SHOT, 0, &made), KVEVICT_OK);
  const PlanHandle plan(made);
  std::size_t n = 0;
  ASSERT_EQ(kvevict_plan_indices(made, 0, nullptr, 0, &n), KVEVICT_OK);
  ASSERT_EQ(n, 5U);
  std::vector<std::int64_t> indices(5, -1);
  EXPECT_NE(refusal(kvevict_plan_indices(made, 0, indices.data(), 4, &n)).find("5 tokens"),
            std::string::npos);
  EXPECT_EQ(indices, std::vector<std::int64_t>(5, -1));
  ASSERT_EQ(kvevict_plan_indices(made, 0, indices.data(), 5, &n), KVEVICT_OK);
  EXPECT_EQ(indices, (std::vector<std::int64_t>{0, 1, 7, 8, 9}));
  ASSERT_EQ(kvevict_plan_append(made, 10, 12), KVEVICT_OK);
  EXPECT_EQ(set_of(made, 0), KeepSet::from_ranges({{0, 2}, {7, 12}}));
}

TEST(CInterface, AHandleOutlivesThePolicy) {
  PolicyHandle policy = policy_of("sink_recent_uniform:4:28:32:block=8");
  const SequenceHandle sequence = sequence_of(policy.get(), KVEVICT_ONE_SHOT);
  policy.reset();
  EXPECT_EQ(plan_of(sequence.get(), 500) != nullptr, true);
}

TEST(CInterface, ACopyGoesOnByItselfAndATrimTakesTheMiddleBack) {
  const std::string strategy = "sink_recent_uniform:4:28:32:block=8";
  const PolicyHandle policy = policy_of(strategy);
  const SequenceHandle sequence = sequence_of(policy.get(), KVEVICT_ONE_SHOT);
  const PlanHandle first = plan_of(sequence.get(), 300);
  kvevict_sequence* copied = nullptr;
  ASSERT_EQ(kvevict_sequence_copy(sequence.get(), &copied), KVEVICT_OK);
  const SequenceHandle copy(copied);
  ASSERT_EQ(kvevict_sequence_trim(sequence.get(), 4, first.get()), KVEVICT_OK);  // the frozen middle goes
  const PlanHandle again = plan_of(sequence.get(), 600);
  const PlanHandle frozen = plan_of(copy.get(), 600);
  PolicyState fresh;
  EXPECT_EQ(set_of(again.get(), 0), make_policy(strategy)->plan(600, fresh).layer(0));
  EXPECT_EQ(set_of(frozen.get(), 0), set_of(first.get(), 0)
                                         .subtract(KeepSet::from_ranges({{272, 300}}))
                                         .unite(KeepSet::from_ranges({{572, 600}})));
  EXPECT_NE(refusal(kvevict_sequence_trim(sequence.get(), -1, first.get())), "");
}

TEST(CInterface, RefusesEveryNull) {
  const PolicyHandle policy_owner = policy_of("sink_recent:4:60");
  const SequenceHandle sequence_owner = sequence_of(policy_owner.get(), KVEVICT_ONE_SHOT);
  const PlanHandle plan_owner = plan_of(sequence_owner.get(), 100);
  kvevict_policy* const policy = policy_owner.get();
  kvevict_sequence* const sequence = sequence_owner.get();
  kvevict_plan* const plan = plan_owner.get();
  kvevict_policy* made = nullptr;
  kvevict_sequence* new_sequence = nullptr;
  kvevict_plan* new_plan = nullptr;
  kvevict_policy_info info;
  std::int64_t number = 0;
  std::size_t size = 0;
  const kvevict_range* ranges = nullptr;
  const std::vector<kvevict_status> statuses = {
      kvevict_strategy_count(nullptr),
      kvevict_strategy_name(0, nullptr),
      kvevict_policy_make(nullptr, &made),
      kvevict_policy_make("full", nullptr),
      kvevict_policy_describe(nullptr, &info),
      kvevict_policy_describe(policy, nullptr),
      kvevict_policy_budget(nullptr, KVEVICT_ONE_SHOT, 0, &number),
      kvevict_policy_budget(policy, KVEVICT_ONE_SHOT, 0, nullptr),
      kvevict_sequence_make(nullptr, KVEVICT_ONE_SHOT, 0, &new_sequence),
      kvevict_sequence_make(policy, KVEVICT_ONE_SHOT, 0, nullptr),
      kvevict_sequence_copy(nullptr, &new_sequence),
      kvevict_sequence_copy(sequence, nullptr),
      kvevict_sequence_plan(nullptr, 1, &new_plan),
      kvevict_sequence_plan(sequence, 1, nullptr),
      kvevict_sequence_budget(nullptr, &number),
      kvevict_sequence_budget(sequence, nullptr),
      kvevict_sequence_trim(nullptr, 1, plan),
      kvevict_sequence_trim(sequence, 1, nullptr),
      kvevict_plan_make(nullptr, 1, KVEVICT_ONE_SHOT, 0, &new_plan),
      kvevict_plan_make(policy, 1, KVEVICT_ONE_SHOT, 0, nullptr),
      kvevict_plan_layers(nullptr, &number),
      kvevict_plan_layers(plan, nullptr),
      kvevict_plan_count(nullptr, &number),
      kvevict_plan_count(plan, nullptr),
      kvevict_plan_ranges(nullptr, 0, &ranges, &size),
      kvevict_plan_ranges(plan, 0, nullptr, &size),
      kvevict_plan_ranges(plan, 0, &ranges, nullptr),
      kvevict_plan_indices(nullptr, 0, &number, 1, &size),
      kvevict_plan_indices(plan, 0, &number, 1, nullptr),
      kvevict_plan_append(nullptr, 1, 2)};
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    EXPECT_EQ(statuses[i], KVEVICT_INVALID_ARGUMENT) << "call " << i;
  }
  EXPECT_STREQ(kvevict_last_error(), "kvevict_plan_append: plan is NULL, and a valid pointer is needed");
  kvevict_policy_free(nullptr);
  kvevict_sequence_free(nullptr);
  kvevict_plan_free(nullptr);
}

/// What a policy of a program's own throws becomes a status.
TEST(CInterface, NoExceptionLeaves) {
  register_policy({.name = "c_test_throws",
                   .summary = "",
                   .keys = {"sink", "recent"},
                   .make = [](const StrategySpec& spec) -> std::unique_ptr<const Policy> {
                     if (spec.config.sink_tokens == 1) throw std::bad_alloc();
                     if (spec.config.sink_tokens == 2) throw std::runtime_error("a fault");
                     if (spec.config.sink_tokens == 3) throw 3;  // NOLINT
                     throw Error(ErrorCode::kIo, "a disk");
                   }});
  kvevict_policy* policy = nullptr;
  EXPECT_EQ(kvevict_policy_make("c_test_throws:1", &policy), KVEVICT_OUT_OF_MEMORY);
  EXPECT_NE(std::string(kvevict_last_error()).find("memory"), std::string::npos);
  EXPECT_EQ(kvevict_policy_make("c_test_throws:2", &policy), KVEVICT_INTERNAL);
  EXPECT_STREQ(kvevict_last_error(), "a fault");
  EXPECT_EQ(kvevict_policy_make("c_test_throws:3", &policy), KVEVICT_INTERNAL);
  EXPECT_EQ(kvevict_policy_make("c_test_throws:4", &policy), KVEVICT_IO);
  EXPECT_STREQ(kvevict_last_error(), "a disk");
  EXPECT_EQ(policy, nullptr);
}

}  // namespace
}  // namespace kvevict
