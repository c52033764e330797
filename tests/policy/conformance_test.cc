// What every policy promises, tried on random values, steps and schedules. A new policy gets a row in
// `kRows`.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/registry.h"
#include "policy/random_cache.h"

namespace kvevict {
namespace {

/// Values of `name` for the keys that every strategy with a middle has.
StrategySpec with_ends_and_budget(const std::string& name, Draw& draw) {
  StrategySpec spec = parse_strategy(name);
  const PolicyInfo& info = policy_info(name);
  if (info.uses("sink")) spec.config.sink_tokens = draw(0, 20);
  if (info.uses("recent")) spec.config.recent_tokens = draw(1, 30);
  if (info.uses("budget")) spec.config.middle_budget_tokens = draw(0, 60);
  return spec;
}

StrategySpec random_uniform(const std::string& name, Draw& draw) {
  StrategySpec spec = with_ends_and_budget(name, draw);
  spec.block_n = draw(1, 16);
  spec.config.uniform_stride = draw(0, 2) == 0 ? draw(1, 4) : 0;
  spec.config.spacing = draw(0, 2) == 0 ? kSpacingEnds : kSpacingMidpoints;
  return spec;
}

StrategySpec random_ladder(const std::string& name, Draw& draw) {
  StrategySpec spec = with_ends_and_budget(name, draw);
  spec.span = draw(0, 3);
  spec.overlap = spec.span == 3 ? draw(0, 1) : 0;
  spec.layers = draw(0, 1) * kLayers;
  spec.config.middle_budget_tokens += kLayers;  // at least a group
  return spec;
}

StrategySpec random_scored(const std::string& name, Draw& draw) {
  StrategySpec spec = with_ends_and_budget(name, draw);
  spec.per_layer = draw(0, 1);
  return spec;
}

StrategySpec random_snapkv(const std::string& name, Draw& draw) {
  StrategySpec spec = random_scored(name, draw);
  spec.window = draw(1, spec.config.recent_tokens);
  spec.pool = 2 * draw(0, 5) + 1;
  return spec;
}

StrategySpec random_keydiff(const std::string& name, Draw& draw) {
  StrategySpec spec = random_scored(name, draw);
  spec.config.middle_budget_tokens += 1;
  spec.smooth = 2 * draw(0, 4) + 1;
  return spec;
}

/// What a policy promises beyond what all do.
struct Row {
  std::string_view name;
  bool keeps_sinks = false;    ///< [0, sink) stays.
  bool keeps_recents = false;  ///< [n - recent, n) stays.
  bool has_budget = false;  ///< No layer holds more than `budget_tokens`, and no plan drops a token below it.
  bool is_nested = false;   ///< No plan asks for a token that an earlier one dropped.
  StrategySpec (*random_spec)(const std::string& name, Draw& draw) = nullptr;
};

const std::array kRows = {
    Row{"full", true, true, false, true, with_ends_and_budget},
    Row{"sink_recent", true, true, true, true, with_ends_and_budget},
    Row{"sink_recent_uniform", true, true, true, true, random_uniform},
    Row{"streaming_llm", true, true, true, true, with_ends_and_budget},
    Row{"ladder", true, true, true, true, random_ladder},
    Row{"h2o", true, true, true, true, random_scored},
    Row{"snapkv", true, true, true, true, random_snapkv},
    Row{"tova", true, true, true, true, random_scored},
    Row{"keydiff", true, true, true, true, random_keydiff},
};

/// The next plans of `stream`; the same draw gives the same steps and the same attention.
std::vector<KeepPlan> go_on(const Policy& policy, Stream& stream, Draw draw) {
  std::vector<KeepPlan> plans;
  for (int i = 0; i < 4; ++i) plans.push_back(stream.step(policy, draw));
  return plans;
}

void expect_sound(const KeepSet& kept, std::int64_t n_seen) {
  std::int64_t end = -1;
  for (const TokenRange& range : kept.ranges()) {
    ASSERT_GT(range.begin, end) << "ranges must be sorted, disjoint and maximal";
    ASSERT_LT(range.begin, range.end);
    end = range.end;
  }
  ASSERT_EQ(kept.end(), n_seen) << "the newest token is dropped";
}

class ConformanceTest : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    const auto* const row =
        std::find_if(kRows.begin(), kRows.end(), [](const Row& r) { return r.name == GetParam(); });
    ASSERT_NE(row, kRows.end()) << GetParam() << " has no row in kRows: add one that says what it promises";
    row_ = *row;
  }

  [[nodiscard]] StrategySpec random_spec(Schedule schedule) {
    StrategySpec spec = row_.random_spec(std::string(row_.name), draw_);
    if (schedule == Schedule::kStreaming) {
      spec.config.uniform_stride = 0;
      spec.config.spacing = kSpacingMidpoints;
    }
    return spec;
  }

  void expect_promises(const StrategySpec& spec, const KeepSet& kept, std::int64_t n) {
    const std::int64_t s = std::min(spec.config.sink_tokens, n);
    const std::int64_t r = std::max<std::int64_t>(0, n - spec.config.recent_tokens);
    if (row_.keeps_sinks) {
      ASSERT_TRUE(KeepSet::all(s).subtract(kept).empty())
          << to_string(spec) << " drops a sink token at " << n;
    }
    if (row_.keeps_recents) {
      ASSERT_TRUE(KeepSet::from_ranges({{r, n}}).subtract(kept).empty())
          << to_string(spec) << " drops a recent token at " << n;
    }
  }

  void run_stream(const StrategySpec& spec, Schedule schedule);

  /// A policy of random values, and a sequence that it has made some plans for.
  [[nodiscard]] std::pair<std::shared_ptr<const Policy>, Stream> random_stream(int round) {
    const Schedule schedule = round % 2 == 0 ? Schedule::kOneShot : Schedule::kStreaming;
    std::shared_ptr<const Policy> policy = make_policy(random_spec(schedule));
    Stream stream{.state = {.schedule = schedule, .n_layers = kLayers}};
    for (std::int64_t i = draw_(1, 4); i > 0; --i) (void)stream.step(*policy, draw_);
    return {std::move(policy), std::move(stream)};
  }

  /// What a cut sequence lacks cannot come back; of all else the promises hold as before.
  void expect_promises_of_what_is_left(const Policy& policy, Stream& stream);

  Row row_;
  Draw draw_;
};

void ConformanceTest::run_stream(const StrategySpec& spec, Schedule schedule) {
  const auto policy = make_policy(spec);
  PolicyState state{.schedule = schedule, .n_layers = kLayers};
  Cache cache;
  for (std::int64_t n = draw_(1, 80); n < 300; n += draw_(1, 80)) {
    cache.see(n, draw_(0, 1), draw_);
    cache.show(state);
    const KeepPlan plan = policy->plan(n, state);
    ASSERT_TRUE(plan.is_shared() || plan.n_layers() == kLayers);
    ASSERT_TRUE(plan.is_shared() || policy->is_per_layer()) << to_string(spec);
    ASSERT_EQ(policy->plan(n, state), plan) << to_string(spec) << ": the same call, another plan";
    const auto budget = policy->budget_tokens(state);
    ASSERT_EQ(budget.has_value(), row_.has_budget);
    for (std::size_t l = 0; l < kLayers; ++l) {
      const KeepSet& kept = plan.layer(l);
      ASSERT_NO_FATAL_FAILURE(expect_sound(kept, n)) << to_string(spec);
      ASSERT_NO_FATAL_FAILURE(expect_promises(spec, kept, n));
      ASSERT_EQ(kept.count(), plan.count()) << to_string(spec) << ": layers hold different numbers of tokens";
      const std::int64_t n_newest = std::min(n, policy->n_newest_kept());
      ASSERT_TRUE(KeepSet::from_ranges({{n - n_newest, n}}).subtract(kept).empty())
          << to_string(spec) << " drops one of the newest at " << n;
      ASSERT_TRUE(!policy->keeps_all() || kept.count() == n) << to_string(spec);
      if (budget && kept.count() < n) {  // a stride of 1 drops nothing
        ASSERT_LE(kept.count(), *budget) << to_string(spec);
      }
      if (row_.is_nested) {
        ASSERT_TRUE(kept.subtract(cache.possible().layer(l)).empty())
            << to_string(spec) << " asks for an evicted token at " << n;
      }
    }
    cache.hold(plan);
  }
}

void ConformanceTest::expect_promises_of_what_is_left(const Policy& policy, Stream& stream) {
  const SimpleEvictConfig& config = policy.spec().config;
  for (int i = 0; i < 4; ++i) {
    const KeepPlan plan = stream.step(policy, draw_);
    const std::int64_t n = stream.n_seen;
    ASSERT_EQ(policy.plan(n, stream.state), plan) << to_string(policy.spec());
    for (std::size_t l = 0; l < kLayers; ++l) {
      const KeepSet& possible = stream.cache.possible().layer(l);
      const KeepSet& held = stream.cache.held().layer(l);
      ASSERT_NO_FATAL_FAILURE(expect_sound(plan.layer(l), n)) << to_string(policy.spec());
      ASSERT_EQ(held.count(), stream.cache.held().layer(0).count()) << to_string(policy.spec());
      const KeepSet sink = KeepSet::all(std::min(config.sink_tokens, n)).intersect(possible);
      const KeepSet recent = KeepSet::from_ranges({{std::max<std::int64_t>(0, n - config.recent_tokens), n}})
                                 .intersect(possible);
      if (row_.keeps_sinks) {
        ASSERT_TRUE(sink.subtract(held).empty()) << to_string(policy.spec()) << " at " << n;
      }
      if (row_.keeps_recents) {
        ASSERT_TRUE(recent.subtract(held).empty()) << to_string(policy.spec()) << " at " << n;
      }
      if (row_.has_budget && held.count() < possible.count()) {
        ASSERT_LE(held.count(), *policy.budget_tokens(stream.state)) << to_string(policy.spec());
      }
    }
  }
}

TEST_P(ConformanceTest, KeepsItsPromisesOverAGrowingStream) {
  for (int round = 0; round < 600; ++round) {
    const Schedule schedule = round % 2 == 0 ? Schedule::kOneShot : Schedule::kStreaming;
    ASSERT_NO_FATAL_FAILURE(run_stream(random_spec(schedule), schedule));
  }
}

TEST_P(ConformanceTest, LeavesACacheWithinItsBudgetAlone) {
  for (int round = 0; round < 600; ++round) {
    PolicyState state{.schedule = round % 2 == 0 ? Schedule::kOneShot : Schedule::kStreaming,
                      .n_layers = kLayers};
    const StrategySpec spec = random_spec(state.schedule);
    const auto policy = make_policy(spec);
    const std::int64_t n = draw_(0, policy->budget_tokens(state).value_or(500));
    Cache cache;
    cache.see(n, 0, draw_);
    cache.show(state);
    const KeepPlan plan = policy->plan(n, state);
    for (std::size_t l = 0; l < kLayers; ++l) ASSERT_EQ(plan.layer(l), KeepSet::all(n)) << to_string(spec);
  }
}

TEST_P(ConformanceTest, NamesItselfWithAVersionAndUsesTheKeysOfItsRow) {
  const std::string name(GetParam());
  const auto policy = make_policy(name);
  EXPECT_EQ(policy->versioned_name().rfind(name + "/", 0), 0U) << policy->versioned_name();
  EXPECT_EQ(policy->spec(), parse_strategy(name));
  const std::vector<StrategyKey> keys = strategy_keys();
  for (const std::string& key : policy_info(name).keys) {
    const auto known = [&](const StrategyKey& k) { return k.name == key; };
    EXPECT_EQ(std::count_if(keys.begin(), keys.end(), known), 1) << key;
  }
}

TEST_P(ConformanceTest, ACopiedStateGoesOnEqualAndIndependent) {
  for (int round = 0; round < 200; ++round) {
    const auto [policy, stream] = random_stream(round);
    Stream original = stream;
    const PolicyState copy = original.state;
    if (copy.memory) {
      ASSERT_NE(copy.memory.get(), original.state.memory.get());
      ASSERT_EQ(copy.memory->save(), original.state.memory->save());
    }
    const std::string before = copy.memory ? copy.memory->save() : "";
    const Draw same = draw_;
    const std::vector<KeepPlan> plans = go_on(*policy, original, same);
    ASSERT_EQ(copy.memory ? copy.memory->save() : "", before) << "the original has moved its copy on";
    Stream twin = stream;
    twin.state = copy;
    ASSERT_EQ(go_on(*policy, twin, same), plans) << to_string(policy->spec());
    (void)draw_(0, 1);  // other steps in the next round
  }
}

TEST_P(ConformanceTest, ASavedMemoryGoesOnWithTheSamePlans) {
  for (int round = 0; round < 200; ++round) {
    auto [policy, stream] = random_stream(round);
    Stream loaded = stream;
    if (stream.state.memory) {
      const std::string text = stream.state.memory->save();
      loaded.state.memory = policy->load_memory(text, kLayers);
      ASSERT_TRUE(loaded.state.memory);
      ASSERT_EQ(loaded.state.memory->save(), text);
      ASSERT_EQ(loaded.state.memory->has_frozen(), stream.state.memory->has_frozen());
      ASSERT_EQ(policy->budget_tokens(loaded.state), policy->budget_tokens(stream.state));
    }
    const Draw same = draw_;
    ASSERT_EQ(go_on(*policy, loaded, same), go_on(*policy, stream, same)) << to_string(policy->spec());
    (void)draw_(0, 1);
  }
}

TEST_P(ConformanceTest, ATextThatItCannotHaveWrittenIsNoMemory) {
  const auto policy = make_policy(parse_strategy(std::string(GetParam())));
  for (const char* text : {"no memory", "7", "-1", "4-0", "0-4,2-6", "4 4 4"}) {
    try {
      (void)policy->load_memory(text, kLayers);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData) << text;
    }
  }
}

TEST_P(ConformanceTest, KeepsItsPromisesAfterTheSequenceWasCut) {
  int n_cut = 0;
  for (int round = 0; round < 600; ++round) {
    auto [policy, stream] = random_stream(round);
    const std::int64_t first_recent = std::max<std::int64_t>(1, stream.n_seen - policy->n_newest_kept() + 1);
    const std::int64_t n = draw_(round % 3 == 0 ? 1 : first_recent, stream.n_seen);
    if (!stream.cache.cut(n)) continue;  // nothing can go on behind it: the engine refuses that
    ++n_cut;
    stream.n_seen = n;
    Stream loaded = stream;
    if (stream.state.memory) {
      stream.state.memory->trim(n, stream.cache.held());
      const std::string text = stream.state.memory->save();
      loaded.state.memory = policy->load_memory(text, kLayers);
      stream.state.memory->trim(n, stream.cache.held());
      ASSERT_EQ(stream.state.memory->save(), text) << "what was cut is cut already";
    }
    Stream twin = stream;
    const Draw same = draw_;
    ASSERT_EQ(go_on(*policy, loaded, same), go_on(*policy, twin, same)) << to_string(policy->spec());
    ASSERT_NO_FATAL_FAILURE(expect_promises_of_what_is_left(*policy, stream));
  }
  EXPECT_GT(n_cut, 200);
}

std::vector<std::string_view> policy_names() {
  std::vector<std::string_view> names;
  for (const PolicyInfo& info : all_policies()) names.push_back(info.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Registry, ConformanceTest, testing::ValuesIn(policy_names()),
                         [](const auto& name) { return std::string(name.param); });

TEST(ConformanceRows, NameRegisteredPolicies) {
  for (const Row& row : kRows) EXPECT_NO_THROW((void)policy_info(row.name)) << row.name;
}

}  // namespace
}  // namespace kvevict
