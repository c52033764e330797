// Which kinds of cache are supported, and what happens with the others.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/exact_runs.h"
#include "support/plain_llama.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using test::exact;
using test::made_up_tokens;
using test::most_different;

TEST(CacheKinds, SlidingWindowsWorkWithAbsolutePositions) {
  const auto model = test::load_model(test::sliding_window_model_path());
  const std::vector<Token> text = made_up_tokens(300);
  SessionOptions options = exact();
  options.prefill = PrefillMode::kBounded;
  options.positions = PositionMode::kAbsolute;
  Session session(model, make_policy("sink_recent:4:100"), options);
  session.append(text);
  EXPECT_EQ(session.stats().n_cells, 256);
  EXPECT_EQ(session.count_occupied_cells(), session.held().count());

  test::PlainLlama plain(*model, exact(), 512);
  for (std::int64_t from = 0; from < 300; from += 64) {
    plain.remove(4, std::max<std::int64_t>(4, from - 100));
    plain.decode(std::span(text).subspan(static_cast<std::size_t>(from),
                                         static_cast<std::size_t>(std::min<std::int64_t>(64, 300 - from))),
                 from);
  }
  EXPECT_LE(most_different(session.logits(), plain.logits()), 1e-4);
}

/// A session of the model with windows of 32 tokens, and llama.cpp alone, which holds them as it does by
/// itself.
double difference_over(std::int64_t n_tokens, const char* strategy, bool is_one_shot) {
  const auto model = test::load_model(test::sliding_window_model_path());
  const std::vector<Token> text = made_up_tokens(static_cast<int>(n_tokens) + 10);
  SessionOptions options = exact();
  options.n_ubatch = 64;
  options.prefill = is_one_shot ? PrefillMode::kFull : PrefillMode::kBounded;
  options.positions = PositionMode::kAbsolute;
  const auto policy = make_policy(strategy);
  Session session(model, policy, options);
  session.append(std::span(text).first(static_cast<std::size_t>(n_tokens)));
  if (is_one_shot) session.evict({.n_upcoming = 10});
  session.append(std::span(text).last(10));

  test::PlainLlama plain(*model, options, 1024);  // in full
  for (std::int64_t from = 0; from < n_tokens; from += 64) {
    if (!is_one_shot) plain.remove(4, std::max<std::int64_t>(4, from - 100));
    plain.decode(
        std::span(text).subspan(static_cast<std::size_t>(from),
                                static_cast<std::size_t>(std::min<std::int64_t>(64, n_tokens - from))),
        from);
  }
  const std::int64_t n_recent = is_one_shot ? 90 : 100;
  plain.remove(4, n_tokens - n_recent);
  plain.decode(std::span(text).last(10), n_tokens);
  return most_different(session.logits(), plain.logits());
}

TEST(CacheKinds, WindowsSeeWhatTheySawWhetherHeldInFullOrNot) {
  EXPECT_LE(difference_over(600, "sink_recent:4:100", false), 1e-4);
  EXPECT_LE(difference_over(600, "sink_recent:4:100", true), 1e-4);
}

TEST(CacheKinds, LayersWithWindowsAreHeldAtTheirWindow) {
  const auto model = test::load_model(test::sliding_window_model_path());
  EXPECT_EQ(model->info().n_window, 32);
  EXPECT_EQ(model->info().window_layers, (std::vector<int>{0, 1, 2, 3, 4}));  // one in six sees everything
  SessionOptions options = exact();
  options.n_ubatch = 64;
  Session session(model, make_policy("full"), options);
  session.append(made_up_tokens(900));
  const std::int64_t row = 2 * 32 * 4;  // K and V of one KV head of 32 numbers
  EXPECT_EQ(session.stats().n_cells, 1024);
  EXPECT_EQ(session.stats().kv_bytes, row * (1024 + 5 * 256));
  options.n_sequences = 2;  // a fork shares cells, which no window frees
  Session forkable(model, make_policy("full"), options);
  forkable.append(made_up_tokens(900));
  EXPECT_EQ(forkable.stats().kv_bytes, row * 6 * 1024);
}

TEST(CacheKinds, WindowsGoBackAsFarAsTheyReach) {
  const auto model = test::load_model(test::sliding_window_model_path());
  const std::vector<Token> text = made_up_tokens(700);
  SessionOptions options = exact();
  options.n_ubatch = options.n_batch = 64;
  Session session(model, make_policy("full"), options);
  session.append(text);
  EXPECT_THROW(session.trim(300), Error);
  EXPECT_EQ(session.stats().n_tokens_held, 700);
  session.trim(680);
  session.append(std::span(text).subspan(680));
  Session fresh(model, make_policy("full"), options);
  fresh.append(text);
  EXPECT_LE(most_different(session.logits(), fresh.logits()), 1e-4);
  session.trim(0);
  EXPECT_EQ(session.stats().n_tokens_held, 0);
}

TEST(CacheKinds, ASnapshotOfWindowsGoesOnAsTheSessionDoes) {
  const auto model = test::load_model(test::sliding_window_model_path());
  const std::vector<Token> text = made_up_tokens(600);
  SessionOptions options = exact();
  options.n_ubatch = options.n_batch = 64;
  Session session(model, make_policy("sink_recent:4:100"), options);
  session.append(std::span(text).first(500));
  session.evict();
  Session restored = Session::restore(model, make_policy("sink_recent:4:100"), options, session.snapshot());
  session.append(std::span(text).subspan(500));
  restored.append(std::span(text).subspan(500));
  EXPECT_LE(most_different(session.logits(), restored.logits()), 1e-4);
}

TEST(CacheKinds, SlidingWindowsRefuseMovedPositions) {
  const auto model = test::load_model(test::sliding_window_model_path());
  EXPECT_FALSE(model->info().can_shift_positions);
  for (const PositionMode mode : {PositionMode::kPacked, PositionMode::kAuto}) {
    SessionOptions options = exact();
    options.positions = mode;
    try {
      const Session session(model, make_policy("full"), options);
      FAIL() << to_string(mode);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_NE(std::string(error.what()).find("sliding window"), std::string::npos) << error.what();
    }
  }
}

TEST(CacheKinds, SlidingWindowsRefuseWhatArrangesRowsBeforeAnythingIsDecoded) {
  const auto model = test::load_model(test::sliding_window_model_path());
  for (const char* strategy : {"ladder:4:20:20", "h2o:0:20:20", "tova:0:1:39:per_layer=1"}) {
    try {
      const Session session(model, make_policy(strategy), exact());
      FAIL() << strategy;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_NE(std::string(error.what()).find("sliding window"), std::string::npos) << error.what();
    }
  }
}

TEST(CacheKinds, ABoundedSessionOverSlidingWindowsHasAbsolutePositionsByItself) {
  const auto model = test::load_model(test::sliding_window_model_path());
  SessionOptions options = exact();
  options.prefill = PrefillMode::kBounded;
  const Session session(model, make_policy("sink_recent:4:100"), options);
  EXPECT_EQ(session.options().positions, PositionMode::kAbsolute);
}

TEST(CacheKinds, ADefaultGoesOnPastTheTrainedContextWherePositionsCannotBeShifted) {
  const auto model = test::load_model(test::sliding_window_model_path());
  SessionOptions options = exact();
  options.prefill = PrefillMode::kBounded;
  const std::vector<Token> text = made_up_tokens(model->info().n_context_trained + 40);
  Session by_default(model, make_policy("sink_recent:4:100"), options);
  by_default.append(text);
  EXPECT_EQ(by_default.stats().n_tokens_seen, static_cast<std::int64_t>(text.size()));
  options.positions = PositionMode::kAbsolute;
  Session by_name(model, make_policy("sink_recent:4:100"), options);
  EXPECT_THROW(by_name.append(text), Error);
}

TEST(CacheKinds, KeysWithoutRotationPackByTheirCells) {
  const auto model = test::load_model(test::alibi_model_path());
  const std::vector<Token> text = made_up_tokens(120);
  SessionOptions options = exact();
  options.positions = PositionMode::kPacked;
  Session session(model, make_policy("sink_recent:4:20"), options);
  session.append(std::span(text).first(100));
  session.evict();
  session.append(std::span(text).subspan(100));

  test::PlainLlama plain(*model, exact(), 256);
  plain.decode(std::span(text).first(100), 0);
  plain.remove(4, 80);
  plain.shift(80, 100, -76);
  plain.decode(std::span(text).subspan(100), 24);
  EXPECT_LE(most_different(session.logits(), plain.logits()), 1e-5);
}

TEST(CacheKinds, DistancesInTheAttentionWantOnePositionOfACell) {
  const auto model = test::load_model(test::alibi_model_path());
  SessionOptions options = exact();
  try {
    const Session session(model, make_policy("ladder:4:20:20"), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("ALiBi"), std::string::npos) << error.what();
  }
  options.positions = PositionMode::kPacked;
  Session packed(model, make_policy("ladder:4:20:20"), options);
  packed.append(made_up_tokens(100));
  packed.evict();
  EXPECT_EQ(packed.count_occupied_cells(), packed.stats().n_tokens_held);
}

TEST(CacheKinds, AModelWithoutVocabularyTakesTokensAndNoText) {
  const auto model = test::load_model(test::tiny_model_path());
  Session session(model, make_policy("full"), exact());
  session.append(made_up_tokens(10));
  const Generation answer = session.generate({.max_new_tokens = 5, .stop_at_end_of_generation = false});
  EXPECT_EQ(answer.tokens.size(), 5U);
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(model->detokenize(answer.tokens), "");
  try {
    static_cast<void>(model->tokenize("hello", true, false));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("no vocabulary"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace kvevict
