#include "kvevict/simple_evict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/policy.h"

namespace kvevict {
namespace {

SimpleEvictConfig uniform(std::int64_t sink, std::int64_t recent, std::int64_t budget) {
  return {.sink_tokens = sink,
          .recent_tokens = recent,
          .middle_strategy = "uniform",
          .middle_budget_tokens = budget};
}

/// The definition, piece by piece: sort all pieces by (value, newest), take the first ones.
KeepSet reference(std::int64_t total_len, std::int64_t block_n, const SimpleEvictConfig& config) {
  const std::int64_t s = std::min(config.sink_tokens, total_len);
  const std::int64_t r = std::max(s, total_len - config.recent_tokens);
  if (config.middle_budget_tokens >= r - s) return KeepSet::all(total_len);
  std::vector<std::vector<std::int64_t>> pieces;
  for (std::int64_t i = s; i < r; ++i) {
    if (pieces.empty() || i % block_n == 0) pieces.emplace_back();
    pieces.back().push_back(i);
  }
  std::vector<std::size_t> order(pieces.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto value = [](std::size_t i) { return i == 0 ? 64 : std::countr_zero(i); };
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return value(a) != value(b) ? value(a) > value(b) : a > b; });
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < s; ++i) kept.push_back(i);
  for (std::int64_t i = r; i < total_len; ++i) kept.push_back(i);
  const auto n_kept = static_cast<std::size_t>(config.middle_budget_tokens / block_n);
  for (std::size_t i = 0; i < std::min(n_kept, order.size()); ++i) {
    kept.insert(kept.end(), pieces[order[i]].begin(), pieces[order[i]].end());
  }
  return KeepSet::from_indices(kept);
}

TEST(RulerOrderTest, AWorkedCase) {
  // sink 2, recent 4, blocks of 2: pieces [2,4) … [20,22), numbers 0 … 9; 4 of them: 0, 8, 4, 6
  EXPECT_EQ(build_ruler_keep_token_idx(26, 2, uniform(2, 4, 8)),
            KeepSet::from_ranges({{0, 4}, {10, 12}, {14, 16}, {18, 20}, {22, 26}}));
}

TEST(RulerOrderTest, IsTheDefinitionAndNestedOverAGrowingStream) {
  std::mt19937 random(7);
  const auto draw = [&](std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  };
  for (int round = 0; round < 200; ++round) {
    const SimpleEvictConfig config = uniform(draw(0, 12), draw(1, 20), draw(0, 60));
    const std::int64_t block_n = draw(1, 12);
    KeepSet before;
    std::int64_t n_before = 0;
    for (std::int64_t n = 0; n < 500; n += draw(1, 40)) {
      const KeepSet kept = build_ruler_keep_token_idx(n, block_n, config);
      ASSERT_EQ(kept, reference(n, block_n, config)) << "at " << n;
      ASSERT_LE(kept.count(), config.sink_tokens + config.middle_budget_tokens + config.recent_tokens);
      KeepSet possible = before;
      possible.append(n_before, n);
      ASSERT_TRUE(kept.subtract(possible).empty()) << "asks for an evicted token at " << n;
      before = kept;
      n_before = n;
    }
  }
}

TEST(RulerOrderTest, CoversAMillionTokensEvenly) {
  const KeepSet kept = build_ruler_keep_token_idx(1'000'000, 128, uniform(4, 508, 512));
  EXPECT_EQ(kept.count(), 4 + 124 + 3 * 128 + 508);  // the first piece lacks the sink's 4 tokens
  ASSERT_EQ(kept.ranges().size(), 5U);
  std::int64_t widest = 0;
  for (std::size_t i = 1; i < kept.ranges().size(); ++i) {
    widest = std::max(widest, kept.ranges()[i].begin - kept.ranges()[i - 1].end);
  }
  EXPECT_LT(widest, 2048 * 128);  // pieces 0, 2048, 4096, 6144 of 7805
}

TEST(RulerOrderTest, ABudgetBelowABlockKeepsNoMiddle) {
  EXPECT_EQ(ruler_middle_tokens(128, uniform(4, 8, 127)), 0);
  EXPECT_EQ(ruler_middle_tokens(128, uniform(4, 8, 300)), 256);
  EXPECT_EQ(build_ruler_keep_token_idx(1000, 128, uniform(4, 8, 127)),
            KeepSet::from_ranges({{0, 4}, {992, 1000}}));
}

TEST(RulerOrderTest, AStrideIsRefusedInAStreamAndOnlyThere) {
  const auto policy = make_policy("sink_recent_uniform:4:8:stride=2");
  PolicyState stream{.schedule = Schedule::kStreaming};
  EXPECT_THROW((void)policy->plan(1000, stream), Error);
  EXPECT_THROW((void)policy->budget_tokens(stream), Error);
  PolicyState once;
  EXPECT_NO_THROW((void)policy->plan(1000, once));
}

TEST(RulerOrderTest, BlocksFromEndToEndAreRefusedInAStream) {
  const auto policy = make_policy("sink_recent_uniform:4:8:256:spacing=ends");
  PolicyState stream{.schedule = Schedule::kStreaming};
  try {
    (void)policy->plan(1000, stream);
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.field(), "spacing");
  }
  EXPECT_THROW((void)policy->budget_tokens(stream), Error);
}

}  // namespace
}  // namespace kvevict
