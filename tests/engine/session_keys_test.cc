// The keys that a session shows to a policy that asks for them.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/key_form.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "kvevict/session.h"
#include "support/exact_runs.h"
#include "support/key_probe.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using test::exact;
using test::KeyProbe;
using test::made_up_tokens;
using test::most_different;
using test::ShownKeys;

/// 60 tokens, of which the token at 5 stands again at 47 and 59.
std::vector<Token> text_with_repeats() {
  std::vector<Token> tokens = made_up_tokens(60);
  tokens[47] = tokens[59] = tokens[5];
  return tokens;
}

ShownKeys shown_by(Session& session, const std::shared_ptr<const KeyProbe>& probe) {
  (void)session.evict();
  return probe->shown;
}

ShownKeys shown_to(const std::shared_ptr<const Model>& model, const std::shared_ptr<const KeyProbe>& probe,
                   const SessionOptions& options) {
  Session session(model, probe, options);
  session.append(text_with_repeats());
  return shown_by(session, probe);
}

/// In the first layer a key depends on its token and its position alone: without the rotation, on the token.
void expect_no_positions(const ShownKeys& shown) {
  const std::vector<float> key = shown.key(0, 5);
  const double of_another = most_different(key, shown.key(0, 6));
  EXPECT_LE(most_different(key, shown.key(0, 47)), of_another / 100);
  EXPECT_LE(most_different(key, shown.key(0, 59)), of_another / 100);
}

TEST(SessionKeys, TheSameTokenHasTheSameKeyWhereverItStands) {
  for (const auto& path : {test::tiny_model_path(), test::many_positions_model_path(),
                           test::shallow_f32_model_path(), test::alibi_model_path()}) {
    SCOPED_TRACE(path);
    const auto model = test::load_model(path);
    const ShownKeys shown = shown_to(model, std::make_shared<KeyProbe>(), exact());
    EXPECT_EQ(shown.layers.size(), model->info().cache_layers.size());
    expect_no_positions(shown);
  }
}

TEST(SessionKeys, RotatedKeysAreThoseOfTheCache) {
  const auto model = test::load_model(test::tiny_model_path());
  const ShownKeys turned = shown_to(model, std::make_shared<KeyProbe>(std::nullopt, true), exact());
  const ShownKeys plain = shown_to(model, std::make_shared<KeyProbe>(), exact());
  EXPECT_GT(most_different(turned.key(0, 5), turned.key(0, 47)), 1e-2);
  EXPECT_EQ(turned.key(0, 0), plain.key(0, 0)) << "position 0 is not rotated";
  for (const std::int64_t token : {5, 30, 59}) {  // a rotation changes no length
    double before = 0;
    double after = 0;
    for (const float x : turned.key(3, token)) before += static_cast<double>(x) * static_cast<double>(x);
    for (const float x : plain.key(3, token)) after += static_cast<double>(x) * static_cast<double>(x);
    EXPECT_NEAR(before, after, 1e-5 * before);
  }
}

TEST(SessionKeys, KeysOfAllTypesAreReadAsNumbers) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const ShownKeys f32 = shown_to(model, std::make_shared<KeyProbe>(), exact());
  double largest = 0;
  for (const float x : f32.layers[0]) largest = std::max(largest, std::abs(static_cast<double>(x)));
  struct Row {
    KvType type;
    double most;  // as a share of the largest
  };
  for (const auto& [type, most] : {Row{KvType::kF16, 1e-3}, Row{KvType::kBf16, 1e-2},
                                   Row{KvType::kQ8_0, 1e-2}, Row{KvType::kQ4_0, 0.15}}) {
    SCOPED_TRACE(std::string(to_string(type)));
    SessionOptions options = exact();
    options.type_k = type;
    const ShownKeys shown = shown_to(model, std::make_shared<KeyProbe>(), options);
    EXPECT_LE(most_different(shown.layers[0], f32.layers[0]), most * largest);
    EXPECT_GT(most_different(shown.layers[0], f32.layers[0]), 0);
  }
}

TEST(SessionKeys, MixingTwiceIsNotAtAll) {
  std::vector<float> numbers;
  for (int i = 0; i < 192; ++i) numbers.push_back(static_cast<float>((i * 37) % 19 - 9));
  std::vector<float> mixed = numbers;
  mix_by_hadamard(mixed, 64);
  EXPECT_GT(most_different(mixed, numbers), 1);
  mix_by_hadamard(mixed, 64);
  EXPECT_LE(most_different(mixed, numbers), 1e-5);
}

/// What is shown of the kept tokens is what was shown of them when all were there.
void expect_as_before(const ShownKeys& now, const ShownKeys& before, double most) {
  for (std::size_t l = 0; l < now.layers.size(); ++l) {
    for (const std::int64_t token : now.held.layer(l).to_indices()) {
      if (token >= before.held.layer(l).end()) continue;
      ASSERT_LE(most_different(now.key(l, token), before.key(l, token)), most) << l << " " << token;
    }
  }
}

class AfterEvictionTest : public testing::TestWithParam<PositionMode> {};

TEST_P(AfterEvictionTest, KeptTokensHaveTheKeysThatTheyHad) {
  const auto model = test::load_model(test::tiny_model_path());
  const KeepPlan some(KeepSet::from_ranges({{0, 3}, {11, 20}, {40, 44}, {52, 60}}));
  std::vector<KeepSet> sets;
  std::vector<std::size_t> set_of_layer;
  for (std::int64_t l = 0; l < model->info().n_cache_layers(); ++l) {
    sets.push_back(KeepSet::from_ranges({{0, 3}, {10 + 2 * l, 20 + 2 * l}, {50, 60}}));
    set_of_layer.push_back(static_cast<std::size_t>(l));
  }
  for (const KeepPlan& keep : {some, KeepPlan(sets, set_of_layer)}) {
    const auto probe = std::make_shared<KeyProbe>(keep);
    Session session(model, probe, exact(GetParam()));
    session.append(text_with_repeats());
    const ShownKeys before = shown_by(session, probe);
    const ShownKeys waiting = shown_by(session, probe);  // no token has been decoded since: shifts wait
    ASSERT_EQ(waiting.held, keep);
    expect_as_before(waiting, before, 2e-5);
    session.append(made_up_tokens(3));
    const ShownKeys shifted = shown_by(session, probe);
    EXPECT_EQ(shifted.held.count(), keep.count() + 3);
    expect_as_before(shifted, before, 2e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Positions, AfterEvictionTest,
                         testing::Values(PositionMode::kAbsolute, PositionMode::kPacked),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

TEST(SessionKeys, ForksHaveTheirOwn) {
  const auto model = test::load_model(test::tiny_model_path());
  SessionOptions options = exact();
  options.n_sequences = 3;
  Session trunk(model, make_policy("full"), options);
  trunk.append(text_with_repeats());
  const auto some = std::make_shared<KeyProbe>(KeepPlan(KeepSet::from_ranges({{0, 3}, {30, 60}})));
  const auto all = std::make_shared<KeyProbe>();
  Session first = trunk.fork(some);
  Session second = trunk.fork(all);
  (void)first.evict();
  first.append(made_up_tokens(5));
  second.append(made_up_tokens(2));
  const ShownKeys of_first = shown_by(first, some);
  const ShownKeys of_second = shown_by(second, all);
  EXPECT_EQ(of_first.held.count(), 33 + 5);
  EXPECT_EQ(of_second.held.count(), 62);
  expect_no_positions(of_second);
  for (const std::int64_t token : {0, 31, 59}) EXPECT_EQ(of_first.key(4, token), of_second.key(4, token));
}

TEST(SessionKeys, LayersWithAWindowAreNotShown) {
  const auto model = test::load_model(test::sliding_window_model_path());
  SessionOptions options = exact();
  const auto probe = std::make_shared<KeyProbe>(KeepPlan(KeepSet::from_ranges({{0, 4}, {200, 300}})));
  Session session(model, probe, options);
  session.append(made_up_tokens(300));
  const ShownKeys shown = shown_by(session, probe);
  const ModelInfo& info = model->info();
  ASSERT_FALSE(info.window_layers.empty());
  EXPECT_EQ(shown.layers.size(), info.cache_layers.size() - info.window_layers.size());
  EXPECT_EQ(shown_by(session, probe).held.count(), 104);
}

TEST(SessionKeys, HybridModelsShowTheLayersThatHoldACache) {
  const auto model = test::load_model(test::hybrid_model_path());
  const auto probe = std::make_shared<KeyProbe>();
  const ShownKeys shown = shown_to(model, probe, exact());
  EXPECT_EQ(shown.layers.size(), 3U);
}

TEST(SessionKeys, ARotationThatCannotBeTakenBackIsRefusedWithWhatWorks) {
  const auto model = test::load_model(test::yarn_rope_model_path());
  try {
    Session session(model, make_policy("keydiff:4:16:20"), exact());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(
        std::string(error.what()),
        "keydiff compares keys without the rotation of their positions, and that of " + model->info().name +
            " cannot be taken back: it differs from ggml's plain one (as YaRN and LongRoPE do); use the "
            "strategy with rotated=1, or one that goes by position");
  }
  Session session(model, make_policy("keydiff:4:16:20:rotated=1"), exact());
  session.append(text_with_repeats());
  (void)session.evict();
  EXPECT_EQ(session.held().count(), 40);
}

TEST(SessionKeys, ASavedSessionChoosesAsOneThatWasNeverSaved) {
  const auto model = test::load_model(test::tiny_model_path());
  const auto policy = make_policy("keydiff:2:8:20");
  SessionOptions options = exact();
  options.prefill = PrefillMode::kBounded;
  options.n_chunk = 16;
  Session session(model, policy, options);
  session.append(text_with_repeats());
  const SessionSnapshot snapshot = session.snapshot();
  Session restored = Session::restore(model, policy, options, snapshot);
  for (Session* each : {&session, &restored}) each->append(made_up_tokens(90));
  EXPECT_EQ(session.held_by_layer(), restored.held_by_layer());
  EXPECT_LE(session.held().count(), 30 + 16);
}

TEST(SessionKeys, EachStrategyOfOnePrefillKeepsWhatItWouldAlone) {
  const auto model = test::load_model(test::tiny_model_path());
  SessionOptions options = exact();
  options.n_sequences = 3;
  Session trunk(model, make_policy("full"), options);
  trunk.append(text_with_repeats());
  for (const char* strategy : {"keydiff:2:8:20", "keydiff:2:8:20:per_layer=1"}) {
    Session fork = trunk.fork(make_policy(strategy));
    (void)fork.evict();
    Session alone(model, make_policy(strategy), exact());
    alone.append(text_with_repeats());
    (void)alone.evict();
    EXPECT_EQ(fork.held_by_layer(), alone.held_by_layer()) << strategy;
    EXPECT_EQ(fork.held_by_layer().count(), 30);
  }
}

}  // namespace
}  // namespace kvevict
