#include "kvevict/session_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "kvevict/answer_draw.h"
#include "kvevict/error.h"
#include "support/exact_runs.h"
#include "support/pool_lanes.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using test::made_up_tokens;
using test::most_different;

struct Kind {
  const char* name;
  std::filesystem::path (*path)();
  std::vector<std::string> strategies;
  PositionMode positions;
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) {
  return out << kind.name;
}

SessionOptions one_thread(std::optional<PositionMode> positions = std::nullopt) {
  SessionOptions options = test::exact(positions);
  options.n_threads = options.n_threads_batch = 1;
  return options;
}

class PoolOfRandomSessions : public testing::TestWithParam<Kind> {};

TEST_P(PoolOfRandomSessions, EqualsSessionsAlone) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    test::PoolLanes lanes(test::load_model(GetParam().path()), one_thread(GetParam().positions),
                          GetParam().strategies, seed);
    for (int step = 0; step < 60; ++step) {
      lanes.step();
      ASSERT_NO_FATAL_FAILURE(
          lanes.compare("seed " + std::to_string(seed) + ", step " + std::to_string(step)));
    }
  }
}

const std::vector<std::string> kByPosition = {"sink_recent:4:60", "sink_recent_uniform:4:40:32:block=16",
                                              "sink_recent:1:20", "full"};
const std::vector<std::string> kByLayer = {"ladder:4:30:32", "keydiff:2:20:40", "sink_recent:4:60",
                                           "ladder:1:20:20"};
const std::vector<std::string> kAll = {"full", "full", "full"};

INSTANTIATE_TEST_SUITE_P(
    Kinds, PoolOfRandomSessions,
    testing::Values(Kind{"Absolute", test::tiny_model_path, kByPosition, PositionMode::kAbsolute},
                    Kind{"Packed", test::tiny_model_path, kByPosition, PositionMode::kPacked},
                    Kind{"ByLayer", test::tiny_model_path, kByLayer, PositionMode::kAbsolute},
                    Kind{"ByLayerPacked", test::tiny_model_path, kByLayer, PositionMode::kPacked},
                    Kind{"ManyPositions", test::many_positions_model_path, kByPosition,
                         PositionMode::kPacked},
                    Kind{"Distances", test::alibi_model_path, kByPosition, PositionMode::kPacked},
                    Kind{"Hybrid", test::hybrid_model_path, kByPosition, PositionMode::kAbsolute},
                    Kind{"HybridPacked", test::hybrid_model_path, kByPosition, PositionMode::kPacked},
                    Kind{"Windows", test::sliding_window_model_path, kByPosition, PositionMode::kAbsolute},
                    Kind{"Recurrent", test::recurrent_model_path, kAll, PositionMode::kAbsolute}),
    [](const auto& info) { return std::string(info.param.name); });

std::shared_ptr<const Model> prose_model() {
  return test::load_model(test::shallow_f32_model_path());
}

Session alone(const char* strategy, std::span<const Token> tokens) {
  Session session(prose_model(), make_policy(strategy), one_thread());
  session.append(tokens);
  return session;
}

void expect_refused(const char* words, const std::function<void()>& call) {
  try {
    call();
    ADD_FAILURE() << "not refused: " << words;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(SessionPool, OneCallDecodesTokensOfAnswersAndAChunkOfAPrompt) {
  const std::vector<Token> text = test::prose_tokens(*prose_model(), 250);
  SessionPool pool(prose_model(), one_thread(), {.n_sessions = 4, .n_cells = 250});
  std::vector<Session> sessions;
  std::vector<SessionTokens> all;
  for (std::size_t i = 0; i < 3; ++i) {
    sessions.push_back(pool.open(make_policy("full")));
    sessions.back().append(std::span(text).first(100 + 10 * i));
  }
  sessions.push_back(pool.open(make_policy("full")));
  const std::int64_t n_calls = sessions[0].stats().n_decode_calls;
  for (std::size_t i = 0; i < 3; ++i) all.push_back({&sessions[i], std::span(text).subspan(100 + 10 * i, 1)});
  all.insert(all.begin(), {&sessions[3], std::span(text).first(64)});
  Session::append_each(all);
  EXPECT_EQ(sessions[0].stats().n_decode_calls, n_calls + 1);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t n = i == 3 ? 64 : 101 + 10 * i;
    EXPECT_EQ(sessions[i].held(), KeepSet::all(static_cast<std::int64_t>(n)));
    EXPECT_EQ(sessions[i].count_occupied_cells(), static_cast<std::int64_t>(n));
    EXPECT_LE(most_different(sessions[i].logits(), alone("full", std::span(text).first(n)).logits()), 1e-4);
  }
}

TEST(SessionPool, AnswersByTurnsAreThoseOfSessionsAlone) {
  const std::vector<Token> text = test::prose_tokens(*prose_model(), 400);
  const std::vector<const char*> strategies = {"sink_recent:4:60", "streaming_llm:4:60", "ladder:4:30:32"};
  SessionPool pool(prose_model(), one_thread(), {.n_sessions = 3, .n_cells = 256});
  std::vector<Session> sessions;
  std::vector<AnswerDraw> answers;
  std::vector<std::vector<Token>> expected;
  for (std::size_t i = 0; i < 3; ++i) {
    const GenerateOptions options{.max_new_tokens = 60,
                                  .sampling = {.temperature = 0.8F, .seed = static_cast<std::uint32_t>(i)}};
    const auto prompt = std::span(text).subspan(100 * i, 90 + 7 * i);
    sessions.push_back(pool.open(make_policy(strategies[i])));
    sessions.back().append(prompt);
    answers.emplace_back(prose_model(), options);
    expected.push_back(alone(strategies[i], prompt).generate(options).tokens);
  }
  for (bool goes_on = true; goes_on;) {
    std::vector<Token> tokens(3);
    std::vector<SessionTokens> all;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::optional<Token> token = answers[i].next(sessions[i]);
      if (!token) continue;
      tokens[i] = *token;
      sessions[i].make_room();
      all.push_back({&sessions[i], std::span(tokens).subspan(i, 1)});
    }
    Session::append_each(all);
    goes_on = !all.empty();
  }
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(answers[i].finish().tokens, expected[i]) << strategies[i];
  EXPECT_GT(sessions[1].stats().n_packs, 0);
}

TEST(SessionPool, ItsBytesAreKnownBeforehandAndStay) {
  const auto model = prose_model();
  const PoolSize size{.n_sessions = 3, .n_cells = 300};
  const std::int64_t n_bytes = pool_kv_bytes(*model, one_thread(), size);
  EXPECT_EQ(n_bytes, 3 * 512 * model->kv_bytes_per_token(KvType::kF32, KvType::kF32));
  SessionPool pool(model, one_thread(), size);
  EXPECT_EQ(pool.kv_bytes(), n_bytes);
  EXPECT_EQ(pool.n_cells(), 512);
  Session session = pool.open(make_policy("sink_recent:4:60"));
  session.append(test::prose_tokens(*model, 500));
  session.evict();
  EXPECT_EQ(session.stats().n_tokens_held, 64);
  EXPECT_EQ(session.stats().kv_bytes, n_bytes / 3) << "of its own part, which does not shrink";
  EXPECT_EQ(pool.kv_bytes(), n_bytes);
}

TEST(SessionPool, RefusesWhatItHasNoRoomForBeforeAnythingChanges) {
  const std::vector<Token> text = test::prose_tokens(*prose_model(), 300);
  SessionPool pool(prose_model(), one_thread(), {.n_sessions = 2, .n_cells = 256});
  Session first = pool.open(make_policy("full"));
  Session second = pool.open(make_policy("full"));
  first.append(std::span(text).first(250));
  const std::vector<float> logits(first.logits().begin(), first.logits().end());
  const std::int64_t n_calls = first.stats().n_decode_calls;
  const auto more = std::span(text).first(7);
  expect_refused("has room for 256 tokens", [&] { first.append(more); });
  expect_refused("would hold 257", [&] { first.reserve(7); });
  const SessionTokens both[] = {{&second, more}, {&first, more}};
  expect_refused("has room for 256 tokens", [&] { Session::append_each(both); });
  expect_refused("all are open", [&] { (void)pool.open(make_policy("full")); });
  EXPECT_EQ(first.stats().n_decode_calls, n_calls);
  EXPECT_EQ(std::vector<float>(first.logits().begin(), first.logits().end()), logits);
  EXPECT_EQ(first.held(), KeepSet::all(250));
  EXPECT_EQ(second.held(), KeepSet());
  Session large(prose_model(), make_policy("full"), one_thread());
  large.append(text);
  const SessionSnapshot snapshot = large.snapshot();
  second = Session(prose_model(), make_policy("full"), one_thread());
  expect_refused("has room for 256 tokens", [&] { (void)pool.restore(make_policy("full"), snapshot); });
  EXPECT_EQ(pool.n_open(), 1) << "its place is free again";
}

TEST(SessionPool, ABudgetThatNearlyFillsTheCellsIsKeptWithinThem) {
  const std::vector<Token> text = test::prose_tokens(*prose_model(), 400);
  SessionPool pool(prose_model(), one_thread(), {.n_sessions = 1, .n_cells = 256});
  Session session = pool.open(make_policy("streaming_llm:4:246"));  // and a slack of 64 behind it
  session.append(std::span(text).first(200));
  for (const Token& token : std::span(text).subspan(200, 100)) {
    session.make_room();
    session.append({&token, 1});
  }
  EXPECT_LE(session.stats().n_tokens_held_peak, 256);
  EXPECT_EQ(session.stats().n_tokens_seen, 300);
}

TEST(SessionPool, RefusesOptionsAndStrategiesThatItCannotServe) {
  const auto model = test::load_model(test::tiny_model_path());
  SessionOptions options;
  EXPECT_THROW(SessionPool(nullptr, options, {}), Error);
  EXPECT_THROW(SessionPool(model, options, {.n_sessions = 0}), Error);
  EXPECT_THROW(SessionPool(model, options, {.n_sessions = kMaxSequences + 1}), Error);
  EXPECT_THROW(SessionPool(model, options, {.n_sessions = 4, .n_cells = 0}), Error);
  EXPECT_THROW(SessionPool(model, options, {.n_sessions = 4, .n_cells = 1 << 29}), Error);
  options.n_sequences = 2;
  expect_refused("n_sequences is 2", [&] { SessionPool(model, options, {}); });
  options.n_sequences = 1;
  options.n_recorded_queries = 3;
  expect_refused("n_recorded_queries is 3", [&] { SessionPool(model, options, {}); });
  options.n_recorded_queries = 0;
  SessionPool pool(model, options, {});
  expect_refused("h2o chooses by attention", [&] { (void)pool.open(make_policy("h2o:0:20:20")); });
  expect_refused("tova chooses by attention", [&] { (void)pool.open(make_policy("tova:0:1:63")); });
  expect_refused("a model and a policy", [&] { (void)pool.open(nullptr); });
  EXPECT_EQ(pool.n_open(), 0);
}

TEST(SessionPool, RefusesABatchThatItCannotDecodeAtOnce) {
  const auto model = test::load_model(test::tiny_model_path());
  SessionOptions options = one_thread();
  options.n_batch = 32;
  options.n_chunk = 16;
  SessionPool pool(model, options, {.n_sessions = 3, .n_cells = 256});
  Session a = pool.open(make_policy("full")), b = pool.open(make_policy("sink_recent:4:60"));
  const std::vector<Token> text = made_up_tokens(33);
  const SessionTokens too_many[] = {{&a, text}};
  const SessionTokens too_large[] = {{&b, std::span(text).first(17), PrefillMode::kBounded}};
  const SessionTokens twice[] = {{&a, std::span(text).first(1)}, {&a, std::span(text).first(1)}};
  const SessionTokens none[] = {{nullptr, std::span(text).first(1)}};
  expect_refused("33 tokens were given for one session of a batch: 32",
                 [&] { Session::append_each(too_many); });
  expect_refused("17 tokens were given for one session of a batch: 16",
                 [&] { Session::append_each(too_large); });
  expect_refused("named twice", [&] { Session::append_each(twice); });
  expect_refused("null", [&] { Session::append_each(none); });
  const SessionTokens in_two_calls[] = {{&a, std::span(text).first(20)}, {&b, std::span(text).first(20)}};
  const std::int64_t n_calls = a.stats().n_decode_calls;
  Session::append_each(in_two_calls);
  EXPECT_EQ(a.stats().n_decode_calls, n_calls + 2);
  EXPECT_EQ(most_different(a.logits(), b.logits()), 0);
}

TEST(SessionPool, SessionsMoveInAndOutAndAreCopied) {
  const std::vector<Token> text = test::prose_tokens(*prose_model(), 150);
  std::optional<SessionPool> pool(std::in_place, prose_model(), one_thread(),
                                  PoolSize{.n_sessions = 3, .n_cells = 256});
  Session session = pool->open(make_policy("streaming_llm:4:60"));
  session.append(std::span(text).first(120));
  session.evict();  // its keys wait to be turned
  Session fork = session.fork();
  EXPECT_EQ(pool->n_open(), 2);
  EXPECT_EQ(session.count_occupied_cells() + fork.count_occupied_cells(), 128) << "cells of its own";
  Session moved = pool->restore(make_policy("streaming_llm:4:60"), session.snapshot());
  EXPECT_THROW((void)session.fork(), Error) << "no place is free";
  moved.detach(8);
  EXPECT_EQ(pool->n_open(), 2);
  pool.reset();  // the sessions keep what they live in
  Session reference = alone("streaming_llm:4:60", std::span(text).first(120));
  reference.evict();
  reference.append(std::span(text).subspan(120));
  for (Session* const one : {&session, &fork, &moved}) {
    one->append(std::span(text).subspan(120));
    EXPECT_EQ(one->held(), reference.held());
    EXPECT_LE(most_different(one->logits(), reference.logits()), 1e-4);
  }
}

TEST(SessionPool, ProbabilitiesOfATextAreThoseOfASessionAlone) {
  const std::vector<Token> text = test::prose_tokens(*prose_model(), 40);
  SessionPool pool(prose_model(), one_thread(), {.n_sessions = 2, .n_cells = 256});
  std::vector<double> pooled, expected;
  Session session = pool.open(make_policy("full"));
  session.append(text, {.on_log_probability = [&](std::int64_t, double p) { pooled.push_back(p); }});
  Session other(prose_model(), make_policy("full"), one_thread());
  other.append(text, {.on_log_probability = [&](std::int64_t, double p) { expected.push_back(p); }});
  ASSERT_EQ(pooled.size(), 39U);
  ASSERT_EQ(expected.size(), 39U);
  for (std::size_t i = 0; i < pooled.size(); ++i) EXPECT_NEAR(pooled[i], expected[i], 1e-4);
}

}  // namespace
}  // namespace kvevict
