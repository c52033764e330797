#include <gtest/gtest.h>
#include <llama.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/llama_handles.h"
#include "kvevict/kvevict_c_llama.h"
#include "kvevict/llama_cache.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

LlamaContextHandle make_context(const Model& model) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 256;
  params.n_batch = 64;
  return LlamaContextHandle(llama_init_from_model(model.handle(), params));
}

void decode(llama_context* context, std::span<const Token> tokens) {
  std::vector<Token> copy(tokens.begin(), tokens.end());
  ASSERT_EQ(llama_decode(context, llama_batch_get_one(copy.data(), static_cast<int>(copy.size()))), 0);
}

KeepSet set_of(kvevict_plan* plan) {
  const kvevict_range* ranges = nullptr;
  std::size_t n_ranges = 0;
  EXPECT_EQ(kvevict_plan_ranges(plan, 0, &ranges, &n_ranges), KVEVICT_OK) << kvevict_last_error();
  KeepSet set;
  for (std::size_t i = 0; i < n_ranges; ++i) set.append(ranges[i].begin, ranges[i].end);
  kvevict_plan_free(plan);
  return set;
}

class CLlamaCache : public testing::Test {
 protected:
  void SetUp() override {
    model = test::load_model(test::shallow_model_path());
    context = make_context(*model);
    ASSERT_EQ(kvevict_policy_make("sink_recent:4:60", &policy), KVEVICT_OK);
  }
  void TearDown() override {
    kvevict_llama_cache_free(cache);
    kvevict_policy_free(policy);
  }

  std::shared_ptr<const Model> model;
  LlamaContextHandle context;
  kvevict_policy* policy = nullptr;
  kvevict_llama_cache* cache = nullptr;
};

TEST_F(CLlamaCache, EvictsAsTheOneOfCppDoes) {
  const LlamaContextHandle other_context = make_context(*model);
  LlamaCache other = LlamaCache::bind(other_context.get(), make_policy("sink_recent:4:60"),
                                      {.positions = PositionMode::kPacked, .n_slack = 8});
  kvevict_llama_options options;
  ASSERT_EQ(kvevict_llama_options_init(&options), KVEVICT_OK);
  EXPECT_EQ(options.schedule, KVEVICT_STREAMING);
  EXPECT_EQ(options.n_slack, 64);
  options.positions = KVEVICT_PACKED;
  options.n_slack = 8;
  ASSERT_EQ(kvevict_llama_cache_bind(context.get(), policy, &options, &cache), KVEVICT_OK)
      << kvevict_last_error();
  const std::vector<Token> text = test::prose_tokens(*model, 300);
  for (std::size_t from = 0; from < 300; from += 50) {
    std::int64_t position = -1;
    ASSERT_EQ(kvevict_llama_cache_before_decode(cache, 50, &position), KVEVICT_OK) << kvevict_last_error();
    EXPECT_EQ(position, other.before_decode(50));
    decode(context.get(), std::span(text).subspan(from, 50));
    decode(other_context.get(), std::span(text).subspan(from, 50));
  }
  kvevict_plan* plan = nullptr;
  ASSERT_EQ(kvevict_llama_cache_plan(cache, &plan), KVEVICT_OK);
  EXPECT_EQ(set_of(plan), other.plan().layer(0));
  std::int64_t n_evicted = 0;
  ASSERT_EQ(kvevict_llama_cache_evict(cache, &n_evicted), KVEVICT_OK);
  EXPECT_EQ(n_evicted, other.evict());
  ASSERT_EQ(kvevict_llama_cache_held(cache, &plan), KVEVICT_OK);
  EXPECT_EQ(set_of(plan), KeepSet::from_ranges({{0, 4}, {240, 300}}));
  kvevict_llama_stats stats;
  ASSERT_EQ(kvevict_llama_cache_stats(cache, &stats), KVEVICT_OK);
  EXPECT_EQ(stats.n_tokens_seen, 300);
  EXPECT_EQ(stats.n_tokens_held, 64);
  EXPECT_EQ(stats.n_evictions, other.stats().n_evictions);
  EXPECT_EQ(stats.n_packs, other.stats().n_packs);
}

TEST_F(CLlamaCache, RefusesWhatCannotBe) {
  const auto refusal = [](kvevict_status status) {
    EXPECT_EQ(status, KVEVICT_INVALID_ARGUMENT);
    return std::string(kvevict_last_error());
  };
  kvevict_llama_options options;
  ASSERT_EQ(kvevict_llama_options_init(&options), KVEVICT_OK);
  options.positions = 9;
  EXPECT_NE(refusal(kvevict_llama_cache_bind(context.get(), policy, &options, &cache)).find("positions 9"),
            std::string::npos);
  kvevict_policy* stride = nullptr;
  ASSERT_EQ(kvevict_policy_make("sink_recent_uniform:4:28:stride=2", &stride), KVEVICT_OK);
  EXPECT_NE(refusal(kvevict_llama_cache_bind(context.get(), stride, nullptr, &cache)).find("stride"),
            std::string::npos);
  kvevict_policy_free(stride);
  EXPECT_EQ(cache, nullptr);
  ASSERT_EQ(kvevict_llama_cache_bind(context.get(), policy, nullptr, &cache), KVEVICT_OK);
  EXPECT_NE(refusal(kvevict_llama_cache_before_decode(cache, 0, nullptr)).find("0 tokens"),
            std::string::npos);
  EXPECT_NE(refusal(kvevict_llama_cache_before_decode(cache, 1000, nullptr)).find("does not fit"),
            std::string::npos);
}

TEST_F(CLlamaCache, RefusesEveryNull) {
  ASSERT_EQ(kvevict_llama_cache_bind(context.get(), policy, nullptr, &cache), KVEVICT_OK);
  kvevict_llama_cache* made = nullptr;
  kvevict_plan* plan = nullptr;
  kvevict_llama_stats stats;
  for (const kvevict_status status :
       {kvevict_llama_options_init(nullptr), kvevict_llama_cache_bind(nullptr, policy, nullptr, &made),
        kvevict_llama_cache_bind(context.get(), nullptr, nullptr, &made),
        kvevict_llama_cache_bind(context.get(), policy, nullptr, nullptr),
        kvevict_llama_cache_before_decode(nullptr, 1, nullptr), kvevict_llama_cache_evict(nullptr, nullptr),
        kvevict_llama_cache_plan(nullptr, &plan), kvevict_llama_cache_plan(cache, nullptr),
        kvevict_llama_cache_held(nullptr, &plan), kvevict_llama_cache_held(cache, nullptr),
        kvevict_llama_cache_stats(nullptr, &stats), kvevict_llama_cache_stats(cache, nullptr)}) {
    EXPECT_EQ(status, KVEVICT_INVALID_ARGUMENT);
  }
  EXPECT_EQ(kvevict_llama_cache_evict(cache, nullptr), KVEVICT_OK);
  kvevict_llama_cache_free(nullptr);
}

}  // namespace
}  // namespace kvevict
