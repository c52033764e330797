#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

SessionOptions exact(int n_sequences, PositionMode positions = PositionMode::kAbsolute) {
  SessionOptions options;
  options.flash_attention = FlashAttention::kOff;
  options.type_k = options.type_v = KvType::kF32;
  options.n_sequences = n_sequences;
  options.positions = positions;
  return options;
}

double max_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

/// A session alone that did what a fork did.
Session alone(const std::shared_ptr<const Model>& model, std::span<const Token> prompt, const char* strategy,
              std::span<const Token> more, PositionMode positions) {
  Session session(model, make_policy(strategy != nullptr ? strategy : "full"), exact(1, positions));
  session.append(prompt);
  if (strategy != nullptr) session.evict();
  for (const Token& token : more) session.append({&token, 1});
  return session;
}

void expect_forks_equal_sessions_alone(PositionMode positions) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 203);
  const auto head = std::span(prompt).first(200);
  const auto tail = std::span(prompt).subspan(200);
  Session trunk(model, make_policy("full"), exact(4, positions));
  trunk.reserve(240);
  trunk.append(head);
  EXPECT_EQ(trunk.count_occupied_cells(), 200);
  const std::vector<const char*> strategies = {nullptr, "sink_recent:4:60",
                                               "sink_recent_uniform:4:40:32:block=16"};
  std::vector<Session> forks;
  for (const char* strategy : strategies) {
    forks.push_back(trunk.fork(strategy != nullptr ? make_policy(strategy) : nullptr));
    if (strategy != nullptr) forks.back().evict();
  }
  EXPECT_EQ(trunk.count_occupied_cells(), 200) << "forks copy no cells, and the trunk still holds them";
  std::vector<Session*> pointers;
  for (Session& fork : forks) pointers.push_back(&fork);
  const std::int64_t n_calls = trunk.stats().n_decode_calls;
  for (const Token token : tail) Session::append_each(pointers, std::vector<Token>(pointers.size(), token));
  if (positions == PositionMode::kAbsolute) {
    EXPECT_EQ(trunk.stats().n_decode_calls - n_calls, 3) << "one call for all forks";
    EXPECT_EQ(trunk.count_occupied_cells(), 200 + 9);
  }
  for (std::size_t i = 0; i < forks.size(); ++i) {
    const Session reference = alone(model, head, strategies[i], tail, positions);
    EXPECT_LE(max_difference(forks[i].logits(), reference.logits()), 1e-4) << i;
    EXPECT_EQ(forks[i].held(), reference.held());
  }
  trunk.append(std::span(tail).first(1));  // the trunk is as it was
  EXPECT_LE(max_difference(trunk.logits(), alone(model, head, nullptr, tail.first(1), positions).logits()),
            1e-4);
}

TEST(Sequences, ForksEqualSessionsAlone) {
  expect_forks_equal_sessions_alone(PositionMode::kAbsolute);
}

TEST(Sequences, PackedForksMoveOutAndEqualSessionsAlone) {
  expect_forks_equal_sessions_alone(PositionMode::kPacked);
}

TEST(Sequences, AForkGoesOnByAPolicyOfItsOwn) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 202);
  const auto head = std::span(prompt).first(200);
  const auto tail = std::span(prompt).subspan(200);
  Session trunk(model, make_policy("full"), exact(3));
  trunk.append(head);
  Session packed = trunk.fork(make_policy("streaming_llm:4:60"));
  const Session same = trunk.fork();
  EXPECT_EQ(&same.policy(), &trunk.policy());
  EXPECT_EQ(packed.policy().spec().name, "streaming_llm");
  EXPECT_EQ(packed.options().positions, PositionMode::kPacked) << "those of its own policy";
  packed.evict();
  EXPECT_EQ(packed.record().back().first_position + packed.record().back().indices.count(), 64);
  EXPECT_EQ(trunk.policy().spec().name, "full");
  EXPECT_EQ(trunk.options().positions, PositionMode::kAbsolute);
  EXPECT_EQ(trunk.held(), KeepSet::all(200));
  for (const Token& token : tail) packed.append({&token, 1});
  const Session reference = alone(model, head, "streaming_llm:4:60", tail, PositionMode::kPacked);
  EXPECT_EQ(packed.held(), reference.held());
  EXPECT_LE(max_difference(packed.logits(), reference.logits()), 1e-4);
  EXPECT_THROW((void)trunk.fork(make_policy("tova:0:1:63")), Error) << "attention of no session of its own";
}

TEST(Sequences, AForksPolicyRemembersNothingOfTheOneBefore) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 300);
  const auto uniform = make_policy("sink_recent_uniform:4:60:64:block=16");
  Session trunk(model, uniform, exact(2));
  trunk.append(prompt);
  trunk.evict();  // freezes a middle
  Session fork = trunk.fork(make_policy("sink_recent:4:60"));
  fork.evict();
  EXPECT_EQ(fork.held(), KeepSet::from_ranges({{0, 4}, {240, 300}}));
  PolicyState state;
  EXPECT_EQ(trunk.held(), uniform->plan(300, state).layer(0)) << "the trunk goes on with its own";
}

TEST(Sequences, AForkOfASessionWhoseKeysWaitToBeTurned) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 152);
  const auto head = std::span(prompt).first(150);
  Session trunk(model, make_policy("streaming_llm:4:60"), exact(2, PositionMode::kPacked));
  trunk.append(head);
  trunk.evict();
  Session fork = trunk.fork();
  fork.append(std::span(prompt).subspan(150, 1));
  fork.detach(16);
  EXPECT_EQ(trunk.count_occupied_cells(), 64);
  EXPECT_EQ(fork.count_occupied_cells(), 65);
  fork.append(std::span(prompt).subspan(151, 1));
  const Session reference =
      alone(model, head, "streaming_llm:4:60", std::span(prompt).subspan(150), PositionMode::kPacked);
  EXPECT_LE(max_difference(fork.logits(), reference.logits()), 1e-4);
}

TEST(Sequences, AForkOfASessionWhoseKeysWaitToBeTurnedInACacheWithoutAFreeCell) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 401);
  const auto head = std::span(prompt).first(400);
  Session trunk(model, make_policy("streaming_llm:4:252"), exact(2, PositionMode::kPacked));
  trunk.append(head);
  trunk.evict();
  ASSERT_EQ(trunk.stats().n_cells, 256);
  ASSERT_EQ(trunk.count_occupied_cells(), 256);
  Session fork = trunk.fork();
  fork.append(std::span(prompt).subspan(400));
  const Session reference =
      alone(model, head, "streaming_llm:4:252", std::span(prompt).subspan(400), PositionMode::kPacked);
  EXPECT_LE(max_difference(fork.logits(), reference.logits()), 1e-4);
}

TEST(Sequences, AContextThatGrowsKeepsItsForks) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 300);
  Session trunk(model, make_policy("full"), exact(2));
  trunk.append(std::span(prompt).first(200));
  Session fork = trunk.fork();
  trunk.append(std::span(prompt).subspan(200));  // 300 cells: more than the 256 there are
  EXPECT_EQ(trunk.count_occupied_cells(), 300);
  fork.append(std::span(prompt).subspan(200));
  EXPECT_EQ(trunk.count_occupied_cells(), 400) << "the first 200 are still shared";
  EXPECT_LE(max_difference(trunk.logits(), fork.logits()), 1e-4);
}

TEST(Sequences, BoundedForksGrowTheContextThatTheyShare) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 450);
  for (const PositionMode positions : {PositionMode::kAbsolute, PositionMode::kPacked}) {
    SessionOptions options = exact(2, positions);
    options.n_chunk = 64;
    const auto recent = make_policy("sink_recent:4:96");
    Session trunk(model, make_policy("full"), options);
    trunk.append(std::span(prompt).first(250));  // nearly all of 256 cells
    Session fork = trunk.fork(recent);
    const AppendOptions bounded{.prefill = PrefillMode::kBounded};
    fork.append(std::span(prompt).subspan(250), bounded);
    EXPECT_EQ(trunk.held(), KeepSet::all(250));
    options.n_sequences = 1;
    Session reference(model, recent, options);
    reference.append(std::span(prompt).first(250));
    reference.append(std::span(prompt).subspan(250), bounded);
    EXPECT_EQ(fork.held(), reference.held());
    EXPECT_LE(max_difference(fork.logits(), reference.logits()), 1e-4);
  }
}

TEST(Sequences, AfterGoingBackALadderBeginsWithWhatIsLeft) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 500);
  const auto ladder = make_policy("ladder:4:60:64");
  for (const PositionMode positions : {PositionMode::kAbsolute, PositionMode::kPacked}) {
    SessionOptions options;
    options.positions = positions;
    Session session(model, ladder, options);
    session.append(prompt);
    session.evict();
    EXPECT_EQ(session.stats().n_tokens_held, 128);
    session.trim(4);
    session.append(std::span(prompt).first(300));
    session.evict();
    EXPECT_EQ(session.held_by_layer().layer(0).count(), 128);
    EXPECT_EQ(session.held_by_layer().layer(1).count(), 128);
    EXPECT_TRUE(KeepSet::from_ranges({{244, 304}}).subtract(session.held_by_layer().layer(1)).empty());
  }
}

TEST(Sequences, AfterGoingBackAFrozenMiddleIsOfWhatIsLeft) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 400);
  const auto uniform = make_policy("sink_recent_uniform:4:60:64:block=16");
  Session session(model, uniform, exact(1));
  session.append(prompt);
  session.evict();
  session.trim(4);
  session.append(std::span(prompt).first(300));
  session.evict();
  Session fresh(model, uniform, exact(1));
  fresh.append(std::span(prompt).first(304));
  fresh.evict();
  EXPECT_EQ(session.held(), fresh.held());
}

TEST(Sequences, TrimGoesBackAndClearForgets) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 120);
  Session session(model, make_policy("sink_recent:4:20"), exact(1));
  session.append(prompt);
  const std::vector<float> logits(session.logits().begin(), session.logits().end());
  session.append(std::span(prompt).first(30));
  session.trim(119);
  EXPECT_TRUE(session.logits().empty());
  EXPECT_EQ(session.count_occupied_cells(), 119);
  session.append(std::span(prompt).last(1));
  EXPECT_LE(max_difference(session.logits(), logits), 1e-4);
  session.evict();
  EXPECT_THROW(session.trim(50), Error) << "token 49 is gone: nothing can go on behind it";
  session.clear();
  EXPECT_EQ(session.count_occupied_cells(), 0);
  EXPECT_EQ(session.stats().n_tokens_seen, 0);
  session.append(prompt);
  EXPECT_LE(max_difference(session.logits(), logits), 1e-4);
}

TEST(Sequences, ClosedForksGiveTheirCellsBack) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 60);
  SessionOptions options;
  options.n_sequences = 2;
  Session trunk(model, make_policy("full"), options);
  trunk.append(prompt);
  for (int round = 0; round < 3; ++round) {
    Session fork = trunk.fork();
    EXPECT_THROW((void)trunk.fork(), Error) << "two sequences, both in use";
    fork.append(std::span(prompt).first(10));
    EXPECT_EQ(trunk.count_occupied_cells(), 70);
  }
  EXPECT_EQ(trunk.count_occupied_cells(), 60);
}

TEST(Sequences, RefusesImpossibleNumbers) {
  const auto model = test::load_model(test::shallow_model_path());
  SessionOptions options;
  options.n_sequences = 257;
  EXPECT_THROW(Session(model, make_policy("full"), options), Error);
  options.n_sequences = 0;
  EXPECT_THROW(Session(model, make_policy("full"), options), Error);
  Session one(model, make_policy("full"));
  Session* const twice[] = {&one, &one};
  EXPECT_THROW(Session::append_each(twice, std::vector<Token>{1, 2}), Error);
  EXPECT_THROW(Session::append_each(std::span(twice).first(1), std::vector<Token>{1, 2}), Error);
}

}  // namespace
}  // namespace kvevict
