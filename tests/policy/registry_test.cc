#include "kvevict/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "kvevict/error.h"
#include "support/every_nth_policy.h"

namespace kvevict {
namespace {

using test::every_nth;

KeepSet tokens(const std::vector<std::int64_t>& indices) {
  return KeepSet::from_indices(indices);
}

/// Registers the policy that most tests here use, once for all of them.
void register_every_nth() {
  static const bool is_registered = [] {
    register_policy(every_nth("every_nth", "step"));
    return true;
  }();
  ASSERT_TRUE(is_registered);
}

template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was refused";
}

/// Refuses `info` with a sentence that names `part`, and nothing of it is known afterwards.
void expect_refused(const PolicyInfo& info, const std::string& part) {
  const std::size_t n_policies = all_policies().size();
  const std::size_t n_keys = strategy_keys().size();
  const std::string sentence = refusal([&] { register_policy(info); });
  EXPECT_NE(sentence.find("cannot be registered"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  EXPECT_EQ(all_policies().size(), n_policies);
  EXPECT_EQ(strategy_keys().size(), n_keys);
}

std::ptrdiff_t count_keys(const std::string& name) {
  const std::vector<StrategyKey> keys = strategy_keys();
  return std::count_if(keys.begin(), keys.end(), [&](const StrategyKey& key) { return key.name == name; });
}

std::ptrdiff_t count_policies(const std::string& name) {
  const auto all = all_policies();
  return std::count_if(all.begin(), all.end(), [&](const PolicyInfo& info) { return info.name == name; });
}

TEST(RegistryTest, TheGrammarReadsAndWritesAStrategyOfOnesOwn) {
  register_every_nth();
  const StrategySpec spec = parse_strategy("every_nth:3:9:step=5");
  EXPECT_EQ(spec.name, "every_nth");
  EXPECT_EQ(spec.config.sink_tokens, 3);
  EXPECT_EQ(spec.config.recent_tokens, 9);
  EXPECT_EQ(spec.more.at("step"), 5);
  EXPECT_EQ(to_string(spec), "every_nth:3:9:step=5");
  EXPECT_EQ(to_string(parse_strategy("every_nth")), "every_nth:2:8") << "its defaults are left out";
  EXPECT_EQ(parse_strategy("every_nth:step=4"), parse_strategy("every_nth"));
  EXPECT_EQ(parse_strategy(to_string(spec)), spec);
  EXPECT_NE(spec, parse_strategy("every_nth:3:9:step=6"));
  EXPECT_EQ(parse_strategy("sink_recent").more, (std::map<std::string, std::int64_t>{}))
      << "other strategies know nothing of it";

  StrategySpec limited = spec;
  set_total_budget(limited, 20);
  EXPECT_EQ(to_string(limited), "every_nth:3:17:step=5");
}

TEST(RegistryTest, AKeyOfOnesOwnIsKnownAndChecked) {
  register_every_nth();
  EXPECT_EQ(count_keys("step"), 1);
  const std::vector<StrategyKey> keys = strategy_keys();
  EXPECT_EQ(keys[0].name, "sink");
  EXPECT_EQ(keys[1].name, "recent");
  EXPECT_EQ(keys[2].name, "budget") << "the first three keep their places in the grammar";
  const auto step =
      std::find_if(keys.begin(), keys.end(), [](const StrategyKey& key) { return key.name == "step"; });
  EXPECT_EQ(step->long_name, "step_tokens");
  EXPECT_EQ(step->value_of(parse_strategy("every_nth:step=9")), 9);
  EXPECT_EQ(step->value_of(StrategySpec{}), 4);

  EXPECT_NE(refusal([] { (void)parse_strategy("every_nth:step=0"); }).find("step_tokens is 0"),
            std::string::npos);
  EXPECT_NE(refusal([] { (void)parse_strategy("every_nth:step=1001"); }).find("step_tokens is 1001"),
            std::string::npos);
  EXPECT_NE(refusal([] { (void)parse_strategy("sink_recent:step=2"); }).find("does not use"),
            std::string::npos);
  EXPECT_NE(refusal([] { (void)parse_strategy("every_nth:stride=2"); }).find("\"stride\""),
            std::string::npos);
  StrategySpec spec = parse_strategy("every_nth");
  spec.more["step"] = -1;
  EXPECT_NE(refusal([&] { (void)make_policy(spec); }).find("step_tokens is -1"), std::string::npos);
}

TEST(RegistryTest, ItsRowIsListedAndItsPolicyIsMade) {
  register_every_nth();
  EXPECT_EQ(count_policies("every_nth"), 1);
  const PolicyInfo& info = policy_info("every_nth");
  EXPECT_TRUE(info.uses("step"));
  EXPECT_FALSE(info.uses("budget"));
  EXPECT_EQ(info.summary, "first and last tokens, and every N-th between them");
  EXPECT_NE(refusal([] { (void)policy_info("every_mth"); }).find("every_nth"), std::string::npos)
      << "the known ones are named";
  EXPECT_EQ(&all_policies().front().get(), &policy_info("full")) << "the library's own come first";

  const auto policy = make_policy("every_nth:2:3:step=4");
  EXPECT_EQ(policy->versioned_name(), "every_nth/1");
  EXPECT_EQ(policy->spec(), parse_strategy("every_nth:2:3"));
  PolicyState state;
  EXPECT_EQ(policy->plan(12, state).layer(0), tokens({0, 1, 4, 8, 9, 10, 11}));
  StrategySpec bare;  // a value that is not said has its default
  bare.name = "every_nth";
  PolicyState other, another;
  EXPECT_EQ(make_policy(bare)->plan(1000, other),
            make_policy("every_nth:256:512:step=4")->plan(1000, another));
}

TEST(RegistryTest, AMemoryOfOnesOwnIsKeptSavedAndCopied) {
  register_every_nth();
  const auto policy = make_policy("every_nth:2:3:step=4");
  PolicyState state;
  (void)policy->plan(12, state);
  ASSERT_TRUE(state.memory);
  EXPECT_TRUE(state.memory->has_frozen());
  PolicyState copy = state;
  PolicyState loaded;
  loaded.memory = policy->load_memory(state.memory->save(), 30);
  const KeepPlan later = policy->plan(30, state);
  EXPECT_EQ(later.layer(0), tokens({0, 1, 4, 8, 27, 28, 29}));
  EXPECT_EQ(policy->plan(30, copy), later);
  EXPECT_EQ(policy->plan(30, loaded), later);
  copy.memory->trim(6, KeepPlan(tokens({0, 1, 4})));
  EXPECT_EQ(policy->plan(30, copy).layer(0), tokens({0, 1, 4, 27, 28, 29}));
  EXPECT_EQ(policy->plan(30, state), later) << "a copy is cut by itself";
}

TEST(RegistryTest, AStateOfAnotherPolicyIsRefused) {
  register_every_nth();
  PolicyState state;
  (void)make_policy("every_nth:2:3")->plan(12, state);
  PolicyState ladder{.n_layers = 4};
  (void)make_policy("ladder:1:2:8")->plan(40, ladder);
  EXPECT_NE(
      refusal([&] { (void)make_policy("sink_recent:2:3")->plan(20, state); }).find("state of another one"),
      std::string::npos);
  EXPECT_NE(refusal([&] { (void)make_policy("every_nth:2:3")->plan(50, ladder); }).find("state of another"),
            std::string::npos);
}

TEST(RegistryTest, NamesThatAreTakenOrNoWordsAreRefused) {
  register_every_nth();
  for (const char* name : {"full", "sink_recent", "every_nth"})
    expect_refused(every_nth(name, "other_step"), name);
  for (const char* name : {"", "a:b", "a,b", "a b", "a=b", "a/b", "caf\xC3\xA9"})
    expect_refused(every_nth(name, "other_step"), "name \"" + std::string(name) + "\"");
}

TEST(RegistryTest, ARowThatMakesNoPolicyIsRefused) {
  PolicyInfo info = every_nth("makes_nothing", "nothing_step");
  info.make = nullptr;
  expect_refused(info, "makes_nothing has no function");
}

TEST(RegistryTest, KeysThatAreNotKnownAreRefused) {
  PolicyInfo info = every_nth("unknown_key", "unknown_step");
  info.keys.push_back("colour");
  expect_refused(info, "\"colour\"");
  info = every_nth("unknown_key", "unknown_step");
  info.own_keys.clear();
  expect_refused(info, "\"unknown_step\"");
}

TEST(RegistryTest, OwnKeysWhoseNamesAreTakenAreRefused) {
  register_every_nth();
  const auto expect_key_refused = [](const std::string& name, const std::string& long_name) {
    PolicyInfo info = every_nth("taken_key", "taken_step");
    info.keys = {"sink", "recent", name};
    info.own_keys.front().name = name;
    info.own_keys.front().long_name = long_name;
    expect_refused(info, "\"" + name + "\"");
  };
  expect_key_refused("sink", "my_sink");
  expect_key_refused("my_sink", "sink_tokens");
  expect_key_refused("block_n", "my_block");  // the long name of another
  expect_key_refused("my_block", "block");
  expect_key_refused("step", "my_step");  // of a policy that was registered
  expect_key_refused("my_step", "step_tokens");
  expect_key_refused("", "my_step");
  expect_key_refused("my_step", "");
  expect_key_refused("my=step", "my_step");
  expect_key_refused("my_step", "my step");

  PolicyInfo twice = every_nth("taken_key", "taken_step");
  twice.own_keys.push_back(twice.own_keys.front());
  expect_refused(twice, "\"taken_step\"");
  PolicyInfo member = every_nth("taken_key", "taken_step");
  member.own_keys.front().member = [](StrategySpec& spec) -> std::int64_t& { return spec.span; };
  expect_refused(member, "\"taken_step\"");
}

TEST(RegistryTest, RowsStayWhereTheyAreWhileOthersCome) {
  const PolicyInfo& full = policy_info("full");
  const auto before = all_policies();
  for (int i = 0; i < 40; ++i)
    register_policy(every_nth("one_of_many_" + std::to_string(i), "many_" + std::to_string(i)));
  EXPECT_EQ(&policy_info("full"), &full);
  const auto after = all_policies();
  ASSERT_EQ(after.size(), before.size() + 40);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(&after[i].get(), &before[i].get());
  EXPECT_EQ(after.back().get().name, "one_of_many_39");
  EXPECT_EQ(strategy_keys().back().name, "many_39");
}

TEST(RegistryTest, ThreadsMayRegisterAndReadAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 10; ++i) {
        const std::string number = std::to_string(t) + "_" + std::to_string(i);
        register_policy(every_nth("thread_" + number, "of_" + number));
        const std::string text = "thread_" + number + ":1:2:of_" + number + "=3";
        EXPECT_EQ(to_string(make_policy(text)->spec()), text);
        EXPECT_EQ(policy_info("full").name, "full");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) EXPECT_EQ(count_policies("thread_" + std::to_string(t) + "_9"), 1);
}

TEST(RegistryTest, OfThreadsThatRegisterTheSameOneWins) {
  std::atomic<int> n_registered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&n_registered, t] {
      for (int i = 0; i < 20; ++i) {
        try {  // the same key under names that differ
          register_policy(
              every_nth("racer_" + std::to_string(t) + "_" + std::to_string(i), "race_" + std::to_string(i)));
          ++n_registered;
        } catch (const Error&) {  // another thread was first
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_registered, 20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(count_keys("race_" + std::to_string(i)), 1) << i;
}

}  // namespace
}  // namespace kvevict
