#include "kvevict/session.h"

#include <gtest/gtest.h>

#include <llama.h>
#include <algorithm>

#include <cmath>

#include "engine/llama_handles.h"
#include "kvevict/error.h"
#include "support/plain_llama.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using test::PlainLlama;

/// f32 weights, f32 cache, flash attention off: what is left is the order of summation.
SessionOptions exact_options() {
  SessionOptions options;
  options.flash_attention = FlashAttention::kOff;
  options.type_k = options.type_v = KvType::kF32;
  return options;
}

std::span<const Token> all_but_last(const std::vector<Token>& tokens) {
  return std::span(tokens).first(tokens.size() - 1);
}

double max_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

TEST(Session, WithoutEvictionGivesPlainLlamasTokens) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 700);
  Session session(model, make_policy("full"));
  session.reserve(700 + 32);
  session.append(prompt);
  const Generation generation = session.generate({.max_new_tokens = 32, .stop_at_end_of_generation = false});

  PlainLlama plain(*model, session.options(), 1024);
  plain.decode(prompt, 0);
  std::vector<Token> expected;
  for (int i = 0; i < 32; ++i) {
    expected.push_back(plain.greedy());
    plain.decode({&expected.back(), 1}, 700 + i);
  }
  EXPECT_EQ(generation.tokens, expected);
}

struct ExactnessCase {
  const char* name;
  SessionOptions options;
  double tolerance;
};

/// Flash attention on the CPU casts K and V to f16 for its products, and sums cells in tiles
/// that a hole shifts: 11 bits of mantissa over logits of up to 30 give 0.03 (seen: 0.005 to 0.03).
std::vector<ExactnessCase> exactness_cases() {
  SessionOptions flash = exact_options();
  flash.flash_attention = FlashAttention::kOn;
  SessionOptions f16 = exact_options();
  f16.type_k = f16.type_v = KvType::kF16;
  return {{"f32", exact_options(), 1e-4}, {"flash", flash, 0.05}, {"f16", f16, 0.05}};
}

class SessionExactness : public testing::TestWithParam<ExactnessCase> {};

TEST_P(SessionExactness, CompactingEqualsLeavingHoles) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 900);
  const auto policy = make_policy("sink_recent_uniform:32:100:128:block=64");
  Session session(model, policy, GetParam().options);
  session.append(all_but_last(prompt));
  const EvictionReport report = session.evict({.n_upcoming = 1, .n_reserve = 8});
  EXPECT_EQ(report.kept.count(), 32 + 128 + 100);
  session.append({&prompt.back(), 1});

  PlainLlama plain(*model, GetParam().options, 1024);
  plain.decode(all_but_last(prompt), 0);
  report.kept.layer(0).for_each_removed(900, [&](TokenRange range) { plain.remove(range.begin, range.end); });
  plain.decode({&prompt.back(), 1}, 899);
  EXPECT_LE(max_difference(session.logits(), plain.logits()), GetParam().tolerance);
}

TEST_P(SessionExactness, PackingEqualsLlamasPositionShift) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 600);
  SessionOptions options = GetParam().options;
  options.positions = PositionMode::kPacked;
  Session session(model, make_policy("sink_recent:4:200"), options);
  session.append(all_but_last(prompt));
  session.evict({.n_upcoming = 1});
  session.append({&prompt.back(), 1});

  PlainLlama plain(*model, options, 768);
  plain.decode(all_but_last(prompt), 0);
  plain.remove(4, 400);
  plain.shift(400, 599, 4 - 400);
  plain.decode({&prompt.back(), 1}, 203);
  EXPECT_LE(max_difference(session.logits(), plain.logits()), GetParam().tolerance);
}

TEST_P(SessionExactness, AKeptShiftSurvivesASecondMoveBeforeItIsApplied) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 600);
  SessionOptions options = GetParam().options;
  options.positions = PositionMode::kPacked;
  const auto policy = make_policy("sink_recent:4:200");
  Session moved_once(model, policy, options);
  moved_once.append(all_but_last(prompt));
  moved_once.evict({.n_upcoming = 1});
  Session moved_twice(model, policy, options);
  moved_twice.append(all_but_last(prompt));
  moved_twice.evict({.n_upcoming = 1});
  moved_twice.reserve(400);  // moves the cells while the keys still wait to be rotated
  moved_once.append({&prompt.back(), 1});
  moved_twice.append({&prompt.back(), 1});
  EXPECT_GT(moved_twice.stats().n_cells, moved_once.stats().n_cells);
  EXPECT_LE(max_difference(moved_once.logits(), moved_twice.logits()), GetParam().tolerance);
}

INSTANTIATE_TEST_SUITE_P(Types, SessionExactness, testing::ValuesIn(exactness_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(Session, RefusesTheRecordOfALayerThatTheModelLacks) {
  const auto model = test::load_model(test::tiny_model_path());
  Session session(model, make_policy("full"));
  session.append(std::vector<Token>{1, 2, 3});
  EXPECT_EQ(session.record(5).size(), 1);
  try {
    static_cast<void>(session.record(6));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("there is no layer 6"), std::string::npos) << error.what();
  }
}

TEST(Session, KeepsItsBudgetWhileItGenerates) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 400);
  for (const char* strategy :
       {"sink_recent:8:50", "sink_recent_uniform:8:50:64:block=16", "sink_recent:0:2", "sink_recent:3:1"}) {
    const std::shared_ptr<const Policy> policy = make_policy(strategy);
    Session session(model, policy);
    session.append(all_but_last(prompt));
    const KeepSet kept = session.evict({.n_upcoming = 1, .n_reserve = 100}).kept.layer(0);
    session.append({&prompt.back(), 1});
    session.generate({.max_new_tokens = 100, .stop_at_end_of_generation = false});
    PolicyState state;
    const KeepSet first_plan = policy->plan(400, state).layer(0);
    EXPECT_EQ(kept, first_plan) << strategy;
    const KeepSet last_plan = policy->plan(499, state).layer(0);
    const std::int64_t n_held_over = policy->spec().config.recent_tokens == 1 ? 1 : 0;  // the predecessor
    EXPECT_EQ(session.stats().n_tokens_held, last_plan.count() + n_held_over) << strategy;
    EXPECT_EQ(session.held().intersect(last_plan), last_plan) << strategy;
    EXPECT_EQ(session.stats().n_cells, 256) << strategy;
  }
}

TEST(Session, PackedPositionsGenerateBeyondTheBudgetWithinTheSlack) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 400);
  const std::shared_ptr<const Policy> policy = make_policy("streaming_llm:4:100");
  SessionOptions options;
  options.positions = PositionMode::kPacked;
  options.n_decode_slack = 16;
  Session session(model, policy, options);
  session.append(all_but_last(prompt));
  session.evict({.n_upcoming = 1, .n_reserve = 200});
  session.append({&prompt.back(), 1});
  session.generate(
      {.max_new_tokens = 100, .stop_at_end_of_generation = false, .on_token = [&](Token, std::string_view) {
         EXPECT_LE(session.stats().n_tokens_held, 104 + 16);
         return true;
       }});
  EXPECT_GE(session.stats().n_evictions, 5);
  EXPECT_EQ(session.stats().n_tokens_seen, 499);
}

TEST(Session, EvictionGivesResidentMemoryBack) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 4000);
  Session session(model, make_policy("sink_recent:64:192"));
  session.append(prompt);
  const std::int64_t resident_full = test::resident_bytes();
  const std::int64_t kv_full = session.stats().kv_bytes;
  session.evict();
  const std::int64_t kv_evicted = session.stats().kv_bytes;
  EXPECT_EQ(kv_evicted, 256 * model->kv_bytes_per_token(KvType::kF16, KvType::kF16));
  EXPECT_LE(test::resident_bytes(), resident_full - (kv_full - kv_evicted) * 9 / 10);
}

TEST(Session, CountsTheBytesThatLlamaAllocates) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 65);
  for (const KvType type : all_kv_types()) {
    SessionOptions options;
    options.type_k = options.type_v = type;
    PlainLlama plain(*model, options, 256);
    plain.decode(std::span(prompt).first(1), 0);
    const auto one = static_cast<std::int64_t>(plain.state_bytes());
    plain.decode(std::span(prompt).subspan(1), 1);
    constexpr std::int64_t kCellRecord = 12;  // a position, a count of sequences and one sequence
    EXPECT_EQ((static_cast<std::int64_t>(plain.state_bytes()) - one) / 64 - kCellRecord,
              model->kv_bytes_per_token(type, type))
        << to_string(type);
  }
}

TEST(Session, APlanThatDropsNothingMovesNothing) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 100);
  Session session(model, make_policy("sink_recent:50:50"));
  session.append(prompt);
  const auto before = session.stats();
  const EvictionReport report = session.evict();
  EXPECT_EQ(report.n_removed, 0);
  EXPECT_EQ(report.kept.layer(0), KeepSet::all(100));
  EXPECT_EQ(session.stats().kv_bytes_peak, before.kv_bytes_peak);
  EXPECT_EQ(session.stats().n_evictions, 0);
}

TEST(Session, RefusesMoreTokensThanTheTrainedContext) {
  const auto model = test::load_model(test::shallow_model_path());
  Session session(model, make_policy("full"));
  EXPECT_THROW(session.reserve(8193), Error);
  session.append(test::prose_tokens(*model, 10));
  EXPECT_THROW(session.reserve(8183), Error);
  EXPECT_EQ(session.stats().n_tokens_held, 10);
}

TEST(Session, CancelStopsBetweenBatchesAndKeepsWhatWasAppended) {
  const auto model = test::load_model(test::shallow_model_path());
  std::atomic<bool> cancel{false};
  SessionOptions options;
  options.cancel = &cancel;
  Session session(model, make_policy("full"), options);
  const std::vector<Token> prompt = test::prose_tokens(*model, 64);
  session.append(prompt);
  EXPECT_FALSE(session.logits().empty());
  cancel = true;
  try {
    session.append(prompt);
    FAIL() << "not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  cancel = false;
  EXPECT_EQ(session.stats().n_tokens_held, 64);
  session.append(prompt);
  EXPECT_EQ(session.stats().n_tokens_held, 128);
}

TEST(Session, HasNoLogitsOfATokenBeforeTheLastThatWasAppended) {
  const auto model = test::load_model(test::shallow_model_path());
  SessionOptions options;
  options.n_batch = options.n_ubatch = 32;
  Session session(model, make_policy("full"), options);
  std::vector<Token> prompt = test::prose_tokens(*model, 10 + 32 + 20);
  session.append(std::span(prompt).first(10));
  EXPECT_FALSE(session.logits().empty());
  prompt.back() = model->info().n_vocab;  // no token: the second of the two batches is refused
  EXPECT_THROW(session.append(std::span(prompt).subspan(10)), Error);
  EXPECT_EQ(session.stats().n_tokens_held, 10 + 32);
  EXPECT_TRUE(session.logits().empty());
  EXPECT_THROW(session.generate({.max_new_tokens = 1}), Error);
}

TEST(Session, HasThePositionsThatThePolicyThePrefillAndTheModelLeave) {
  const auto model = test::load_model(test::shallow_model_path());
  const auto positions = [&](const char* strategy, const SessionOptions& options) {
    const Session session(model, make_policy(strategy), options);
    EXPECT_EQ(session.options().positions,
              resolved_options(*model, *make_policy(strategy), options).positions);
    return session.options().positions;
  };
  EXPECT_EQ(positions("sink_recent:4:60", {}), PositionMode::kAbsolute);
  EXPECT_EQ(positions("sink_recent:4:60", {.prefill = PrefillMode::kBounded}), PositionMode::kAuto);
  const SessionOptions asked{.prefill = PrefillMode::kBounded, .positions = PositionMode::kAbsolute};
  EXPECT_EQ(positions("sink_recent:4:60", asked), PositionMode::kAbsolute);
  EXPECT_EQ(positions("streaming_llm:4:60", {}), PositionMode::kPacked);
  EXPECT_EQ(positions("streaming_llm:4:60", asked), PositionMode::kPacked) << "the method is defined by them";
}

TEST(Session, NeedsAModelAndAPolicy) {
  EXPECT_THROW(Session(test::load_model(test::shallow_model_path()), nullptr), Error);
  EXPECT_THROW(Session(nullptr, make_policy("full")), Error);
}

TEST(Session, RefusesAQuantisedVWithoutFlashAttention) {
  const auto model = test::load_model(test::shallow_model_path());
  SessionOptions options;
  options.type_v = KvType::kQ8_0;
  options.flash_attention = FlashAttention::kOff;
  EXPECT_THROW(Session(model, make_policy("full"), options), Error);
}

TEST(Session, ACallbackThatThrowsLeavesTheLogitsOfWhatWasAppended) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 60);
  Session session(model, make_policy("full"));
  session.append(std::span(text).first(20));
  struct Stop {};
  const auto stop = [](std::int64_t index, double) {
    if (index == 30) throw Stop();
  };
  EXPECT_THROW(session.append(std::span(text).subspan(20, 20), {.on_log_probability = stop}), Stop);
  ASSERT_EQ(session.stats().n_tokens_seen, 40);
  Session reference(model, make_policy("full"));
  reference.append(std::span(text).first(20));
  reference.append(std::span(text).subspan(20, 20), {.on_log_probability = [](std::int64_t, double) {}});
  EXPECT_TRUE(std::ranges::equal(session.logits(), reference.logits()));
  EXPECT_EQ(session.generate({.max_new_tokens = 4}).tokens, reference.generate({.max_new_tokens = 4}).tokens);
}

}  // namespace
}  // namespace kvevict
