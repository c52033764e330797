#include "kvevict/llama_cache.h"

#include <gtest/gtest.h>
#include <llama.h>

#include <cmath>
#include <tuple>

#include "engine/llama_handles.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

std::shared_ptr<const Policy> policy(const char* text) {
  return make_policy(text);
}

/// A program that has llama.cpp and knows nothing of us.
struct Program {
  explicit Program(const Model& model, std::uint32_t n_sequences = 1, bool is_unified = false) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 256;
    params.n_batch = 64;
    params.n_seq_max = n_sequences;
    params.kv_unified = is_unified;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.type_k = params.type_v = GGML_TYPE_F32;
    context.reset(llama_init_from_model(model.handle(), params));
  }

  void decode(std::span<const Token> tokens) {
    std::vector<Token> copy(tokens.begin(), tokens.end());
    ASSERT_EQ(llama_decode(context.get(), llama_batch_get_one(copy.data(), static_cast<int>(copy.size()))),
              0);
  }

  void remove_from(std::int64_t position) {
    llama_memory_seq_rm(llama_get_memory(context.get()), 0, static_cast<llama_pos>(position), -1);
  }

  LlamaContextHandle context;
};

class OwnContext : public testing::TestWithParam<std::tuple<PositionMode, bool>> {};

TEST_P(OwnContext, IsEvictedAsASessionIs) {
  const auto [positions, is_hybrid] = GetParam();
  const auto model = test::load_model(is_hybrid ? test::hybrid_model_path() : test::shallow_f32_model_path());
  std::vector<Token> text;
  if (is_hybrid) {
    for (int i = 0; i < 420; ++i) text.push_back((i * 37 + i / 7) % 128);
  } else {
    text = test::prose_tokens(*model, 420);
  }
  const auto uniform = policy("sink_recent_uniform:4:60:64:block=16");
  Program program(*model);
  LlamaCache cache = LlamaCache::bind(program.context.get(), uniform, {.positions = positions, .n_slack = 0});
  SessionOptions options;
  options.flash_attention = FlashAttention::kOff;
  options.type_k = options.type_v = KvType::kF32;
  options.positions = positions;
  options.n_chunk = 64;
  options.prefill = PrefillMode::kBounded;
  Session session(model, uniform, options);
  for (std::size_t from = 0; from < text.size(); from += 64) {
    const auto part = std::span(text).subspan(from, std::min<std::size_t>(64, text.size() - from));
    cache.before_decode(static_cast<std::int64_t>(part.size()));
    program.decode(part);
    session.append(part);
  }
  const float* row = llama_get_logits_ith(program.context.get(), -1);
  double most = 0;
  for (std::size_t i = 0; i < session.logits().size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(row[i]) - session.logits()[i]));
  }
  EXPECT_LE(most, 1e-4);
  EXPECT_EQ(cache.plan().layer(0), session.held().intersect(cache.plan().layer(0)));
  EXPECT_EQ(cache.stats().n_tokens_seen, 420);
  EXPECT_EQ(cache.held().layer(0), session.held());
  EXPECT_GT(cache.evict(), 0);
  EXPECT_EQ(cache.held().layer(0), cache.plan().layer(0));
}

INSTANTIATE_TEST_SUITE_P(Positions, OwnContext,
                         testing::Combine(testing::Values(PositionMode::kAbsolute, PositionMode::kPacked),
                                          testing::Bool()),
                         [](const auto& info) {
                           return std::string(to_string(std::get<0>(info.param))) +
                                  (std::get<1>(info.param) ? "_hybrid" : "");
                         });

TEST(LlamaCacheTest, SeesWhatTheProgramDidInBetween) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 64);
  Program program(*model);
  program.decode(std::span(text).first(40));
  LlamaCache cache = LlamaCache::bind(program.context.get(), policy("sink_recent:4:100"));
  EXPECT_EQ(cache.held().layer(0), KeepSet::all(40));
  EXPECT_EQ(cache.before_decode(10), 40);
  program.decode(std::span(text).first(10));
  program.remove_from(45);  // the program takes an answer back
  EXPECT_EQ(cache.before_decode(1), 45);
  program.remove_from(0);
  EXPECT_EQ(cache.before_decode(1), 0);
  program.decode(std::span(text).first(30));
  llama_memory_seq_rm(llama_get_memory(program.context.get()), 0, 5, 8);
  EXPECT_THROW((void)cache.before_decode(1), Error) << "a hole that we did not make";
}

TEST(LlamaCacheTest, SeesAnAnswerTakenBackOverWhatWasEvicted) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 300);
  Program program(*model);
  LlamaCache cache = LlamaCache::bind(program.context.get(), policy("sink_recent_uniform:4:60:64:block=16"),
                                      {.positions = PositionMode::kPacked, .n_slack = 0});
  for (std::size_t from = 0; from < 300; from += 50) {
    cache.before_decode(50);
    program.decode(std::span(text).subspan(from, 50));
  }
  const KeepSet held = cache.held().layer(0);
  const std::int64_t n_left = held.count() - 80;  // into the blocks of the middle
  program.remove_from(n_left);
  EXPECT_EQ(cache.before_decode(1), n_left);
  std::int64_t rank = 0;
  KeepSet expected;
  for (const TokenRange& range : held.ranges()) {
    const std::int64_t n = std::min(range.count(), n_left - rank);
    if (n > 0) expected.append(range.begin, range.begin + n);
    rank += range.count();
  }
  EXPECT_EQ(cache.held().layer(0), expected);
  program.decode(std::span(text).first(1));
  EXPECT_EQ(cache.before_decode(1), n_left + 1);
}

TEST(LlamaCacheTest, LeavesTheProgramItsLogger) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 40);
  Program program(*model);
  ggml_log_callback before = nullptr;
  void* data_before = nullptr;
  llama_log_get(&before, &data_before);
  int n_heard = 0;
  const ggml_log_callback own = [](ggml_log_level, const char*, void* n) { ++*static_cast<int*>(n); };
  llama_log_set(own, &n_heard);
  LlamaCache cache = LlamaCache::bind(program.context.get(), policy("sink_recent:4:20"));
  cache.before_decode(40);
  program.decode(text);
  EXPECT_GT(cache.evict(), 0);
  ggml_log_callback after = nullptr;
  void* data_after = nullptr;
  llama_log_get(&after, &data_after);
  EXPECT_EQ(after, own);
  EXPECT_EQ(data_after, &n_heard);
  EXPECT_EQ(n_heard, 0);  // how we count cells is no error of the program's
  llama_log_set(before, data_before);
}

TEST(LlamaCacheTest, RefusesWhatItCannotDo) {
  const auto model = test::load_model(test::shallow_model_path());
  Program program(*model);
  const auto recent = policy("sink_recent:4:100");
  EXPECT_THROW((void)LlamaCache::bind(nullptr, recent), Error);
  EXPECT_THROW((void)LlamaCache::bind(program.context.get(), nullptr), Error);
  EXPECT_THROW((void)LlamaCache::bind(program.context.get(), recent, {.sequence = 1}), Error);
  EXPECT_THROW((void)LlamaCache::bind(program.context.get(), policy("sink_recent_uniform:4:9:stride=2")),
               Error);
  LlamaCache cache = LlamaCache::bind(program.context.get(), recent);
  EXPECT_THROW((void)cache.before_decode(0), Error);
  EXPECT_THROW((void)cache.before_decode(257), Error) << "more than all cells";
  Program several(*model, 4);
  EXPECT_THROW((void)LlamaCache::bind(several.context.get(), recent), Error) << "cells of their own";
  Program shared(*model, 4, true);
  EXPECT_NO_THROW((void)LlamaCache::bind(shared.context.get(), recent, {.sequence = 3}));
  EXPECT_THROW((void)LlamaCache::bind(shared.context.get(), recent, {.positions = PositionMode::kPacked}),
               Error);
}

TEST(LlamaCacheTest, RefusesARecurrentModel) {
  const LlamaModelHandle model(
      llama_model_load_from_file(test::recurrent_model_path().c_str(), llama_model_default_params()));
  ASSERT_TRUE(model);
  const LlamaContextHandle context(llama_init_from_model(model.get(), llama_context_default_params()));
  ASSERT_TRUE(context);
  try {
    (void)LlamaCache::bind(context.get(), policy("sink_recent:4:100"));
    FAIL() << "bound";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("recurrent"), std::string::npos) << error.what();
  }
}

TEST(LlamaCacheTest, RefusesWhatAContextDoesNotTell) {
  const Program hybrid(*test::load_model(test::hybrid_model_path()));
  EXPECT_THROW((void)LlamaCache::bind(hybrid.context.get(), policy("ladder:4:20:20")), Error);
  const Program many(*test::load_model(test::many_positions_model_path()));
  EXPECT_THROW((void)LlamaCache::bind(many.context.get(), policy("sink_recent:4:20"),
                                      {.positions = PositionMode::kPacked}),
               Error);
}

TEST(LlamaCacheTest, EvictsWithinTheSlackWhereTheCellsRunOut) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 600);
  Program program(*model);  // 256 cells: the budget and one batch, but not the slack
  LlamaCache cache = LlamaCache::bind(program.context.get(), policy("sink_recent:4:220"),
                                      {.positions = PositionMode::kPacked, .n_slack = 64});
  for (std::size_t from = 0; from < 600; from += 30) {
    ASSERT_NO_THROW(cache.before_decode(30)) << from;
    program.decode(std::span(text).subspan(from, 30));
  }
  cache.evict();
  EXPECT_EQ(cache.stats().n_tokens_seen, 600);
  EXPECT_EQ(cache.stats().n_tokens_held, 224);
}

TEST(LlamaCacheTest, ALadderHoldsOtherTokensInEachLayerOfAForeignContext) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 400);
  const auto ladder = policy("ladder:4:30:60:span=2");
  Program program(*model);
  LlamaCache cache = LlamaCache::bind(program.context.get(), ladder, {.n_slack = 0});
  for (std::size_t from = 0; from < 400; from += 50) {
    EXPECT_EQ(cache.before_decode(50), static_cast<std::int64_t>(from));  // absolute positions
    program.decode(std::span(text).subspan(from, 50));
  }
  cache.evict();
  const KeepPlan held = cache.held();
  EXPECT_EQ(held.n_layers(), test::kShallowLayers);
  EXPECT_LE(held.count(), 94);
  EXPECT_GT(held.in_any_layer().count(), held.count());
  EXPECT_TRUE(std::isfinite(*llama_get_logits_ith(program.context.get(), -1)));
  EXPECT_THROW((void)LlamaCache::bind(program.context.get(), ladder, {.positions = PositionMode::kPacked}),
               Error);
  EXPECT_THROW((void)LlamaCache::bind(program.context.get(), policy("tova:0:1:60")), Error);
}

}  // namespace
}  // namespace kvevict
