#include <gtest/gtest.h>

#include <cmath>

#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/plain_llama.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using test::PlainLlama;

SessionOptions chunks_of(int n_chunk, PositionMode positions = PositionMode::kAbsolute) {
  SessionOptions options;
  options.prefill = PrefillMode::kBounded;
  options.n_chunk = n_chunk;
  options.positions = positions;
  return options;
}

/// f32 weights, f32 cache, flash attention off: what is left is the order of summation.
SessionOptions exact(SessionOptions options) {
  options.flash_attention = FlashAttention::kOff;
  options.type_k = options.type_v = KvType::kF32;
  return options;
}

double max_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

/// The schedule carried out with llama.cpp's own calls in a context that holds every token's cell:
/// removed tokens leave holes, and nothing is used again.
void replay(PlainLlama& plain, const Policy& policy, std::span<const Token> tokens,
            const SessionOptions& options) {
  std::int64_t n_held = 0;  // of which the last plan's are packed at the front
  KeepSet before;
  for_each_bounded_chunk(policy, static_cast<std::int64_t>(tokens.size()), options.n_chunk, 0,
                         [&](const BoundedChunk& c) {
                           const bool is_packed = options.positions == PositionMode::kPacked;
                           std::int64_t place = 0;  // of a token among those held
                           std::int64_t n_kept = 0;
                           for (const std::int64_t index : before.to_indices()) {
                             const bool is_kept = c.cached.layer(0).contains(index);
                             const std::int64_t position = is_packed ? place : index;
                             if (!is_kept) plain.remove(position, position + 1);
                             if (is_kept && is_packed && place != n_kept)
                               plain.shift(position, position + 1, n_kept - place);
                             n_kept += is_kept ? 1 : 0;
                             ++place;
                           }
                           n_held = n_kept;
                           plain.decode(tokens.subspan(static_cast<std::size_t>(c.tokens.begin),
                                                       static_cast<std::size_t>(c.tokens.count())),
                                        is_packed ? n_held : c.tokens.begin);
                           before = c.cached.layer(0);
                           before.append(c.tokens.begin, c.tokens.end);
                         });
}

struct BoundedCase {
  const char* strategy;
  PositionMode positions;
};

class BoundedExactness : public testing::TestWithParam<BoundedCase> {};

TEST_P(BoundedExactness, EqualsTheScheduleInAContextThatHoldsEverything) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> prompt = test::prose_tokens(*model, 330);
  const SessionOptions options = exact(chunks_of(64, GetParam().positions));
  const auto policy = make_policy(GetParam().strategy);
  Session session(model, policy, options);
  session.append(prompt);
  EXPECT_EQ(session.stats().n_cells, 256);
  EXPECT_LE(session.stats().n_tokens_held_peak, session.stats().n_cells);

  PlainLlama plain(*model, options, 512);
  replay(plain, *policy, prompt, options);
  EXPECT_LE(max_difference(session.logits(), plain.logits()), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, BoundedExactness,
    testing::Values(BoundedCase{"sink_recent:4:60", PositionMode::kAbsolute},
                    BoundedCase{"sink_recent_uniform:4:60:64:block=16", PositionMode::kAbsolute},
                    BoundedCase{"streaming_llm:4:60", PositionMode::kPacked},
                    BoundedCase{"sink_recent_uniform:4:60:64:block=16", PositionMode::kPacked}));

TEST(Bounded, NeverHoldsMoreThanBudgetAndChunkByLlamasOwnCount) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 1500);
  Session session(model, make_policy("sink_recent_uniform:4:60:128:block=16"), chunks_of(64));
  std::int64_t most = 0;
  for (std::size_t from = 0; from < text.size(); from += 64) {
    const KeepSet held_before = session.held();
    const auto n_before = static_cast<std::int64_t>(from);
    session.append(std::span(text).subspan(from, std::min<std::size_t>(64, text.size() - from)));
    most = std::max(most, session.count_occupied_cells());
    EXPECT_EQ(session.count_occupied_cells(), session.stats().n_tokens_held);
    const KeepSet old = session.held().intersect(KeepSet::all(n_before));
    EXPECT_TRUE(old.subtract(held_before).empty()) << "an evicted token came back";
  }
  EXPECT_LE(most, 4 + 60 + 128 + 64);
  EXPECT_EQ(session.stats().n_cells, 256);
  EXPECT_EQ(session.stats().n_tokens_seen, 1500);
  EXPECT_EQ(session.stats().kv_bytes_peak, session.stats().kv_bytes) << "the context was made more than once";
}

TEST(Bounded, AutoPositionsArePackedOnlyWhenTheTrainedContextWouldBePassed) {
  const auto model = test::load_model(test::short_context_model_path());
  ASSERT_EQ(model->info().n_context_trained, 512);
  const std::vector<Token> text = test::prose_tokens(*model, 1024);
  Session session(model, make_policy("sink_recent:4:60"), chunks_of(64, PositionMode::kAuto));
  session.append(std::span(text).first(512));
  EXPECT_EQ(session.stats().n_packs, 0);
  EXPECT_EQ(session.record().back().first_position + session.record().back().indices.count(), 512);
  session.append(std::span(text).subspan(512, 64));
  EXPECT_EQ(session.stats().n_packs, 1);
  EXPECT_EQ(session.record().front().first_position, 0);
  EXPECT_EQ(session.record().back().first_position, 4);  // the window and the chunk right behind the sink
  session.append(std::span(text).subspan(576, 384));
  EXPECT_EQ(session.stats().n_packs, 1) << "64 + 7 chunks of 64 fit 512 positions";
  session.append(std::span(text).subspan(960));
  EXPECT_EQ(session.stats().n_packs, 2);
}

TEST(Bounded, AutoPositionsPackWhileGenerating) {
  const auto model = test::load_model(test::short_context_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 500);
  Session session(model, make_policy("sink_recent:4:60"), chunks_of(64, PositionMode::kAuto));
  session.append(text);
  session.generate({.max_new_tokens = 30, .stop_at_end_of_generation = false});
  EXPECT_EQ(session.stats().n_packs, 1);
  EXPECT_EQ(session.stats().n_tokens_seen, 529);
  EXPECT_EQ(session.stats().n_tokens_held, 64);
}

TEST(Bounded, AFrozenMiddleStaysForLaterAppends) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 700);
  const auto uniform = make_policy("sink_recent_uniform:4:60:64:block=16");
  Session session(model, uniform, chunks_of(64));
  session.append(std::span(text).first(300), {.prefill = PrefillMode::kFull});
  session.evict();
  PolicyState state;
  const KeepSet middle = uniform->plan(300, state).layer(0).intersect(KeepSet::from_ranges({{4, 240}}));
  for (std::size_t from = 300; from < 700; from += 100) {
    session.append(std::span(text).subspan(from, 100));
    EXPECT_EQ(session.held().intersect(KeepSet::from_ranges({{4, 240}})), middle);
  }
  session.evict();
  EXPECT_EQ(session.held(), uniform->plan(700, state).layer(0));
}

TEST(Bounded, GivesTheLogProbabilityOfEveryTokenButTheFirst) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 140);
  const SessionOptions options = exact(chunks_of(48));
  std::vector<double> seen;
  const AppendOptions scored{.on_log_probability = [&](std::int64_t index, double log_probability) {
    EXPECT_EQ(index, static_cast<std::int64_t>(seen.size()) + 1);
    seen.push_back(log_probability);
  }};
  Session session(model, make_policy("sink_recent:4:200"), options);
  session.append(std::span(text).first(100), scored);
  session.append(std::span(text).subspan(100), scored);
  ASSERT_EQ(seen.size(), 139U);

  PlainLlama plain(*model, options, 256);
  for (const std::size_t i : {1U, 2U, 47U, 48U, 64U, 65U, 100U, 139U}) {
    plain.remove(0, -1);
    plain.decode(std::span(text).first(i), 0);
    double sum = 0;
    for (const float logit : plain.logits()) sum += std::exp(static_cast<double>(logit));
    EXPECT_NEAR(seen[i - 1],
                static_cast<double>(plain.logits()[static_cast<std::size_t>(text[i])]) - std::log(sum), 1e-4);
  }
}

TEST(Bounded, RefusesWhatCannotFit) {
  const auto model = test::load_model(test::short_context_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 600);
  Session stride(model, make_policy("sink_recent_uniform:4:60:stride=2"), chunks_of(64));
  EXPECT_THROW(stride.append(text), Error);
  EXPECT_EQ(stride.stats().n_tokens_seen, 0);
  Session large(model, make_policy("sink_recent:256:256"), chunks_of(64));
  try {
    large.append(text);
    FAIL() << "a budget as large as the trained context leaves no room for a chunk";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("a budget of 512 tokens and a chunk of 64"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(large.stats().n_tokens_seen, 0);
  Session full(model, make_policy("full"), chunks_of(64));
  EXPECT_THROW(full.append(text), Error);
  EXPECT_EQ(full.stats().n_tokens_seen, 0);
  EXPECT_THROW(Session(model, make_policy("full"), chunks_of(0)), Error);
}

}  // namespace
}  // namespace kvevict
