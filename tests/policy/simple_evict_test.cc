#include "kvevict/simple_evict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kvevict/error.h"

namespace kvevict {
namespace {

SimpleEvictConfig uniform(std::int64_t sink, std::int64_t recent, std::int64_t budget,
                          std::int64_t stride = 0) {
  return {sink, recent, "uniform", budget, stride};
}

/// The definition, token by token: slow and obvious.
std::vector<std::int64_t> kept_by_definition(std::int64_t total_len, std::int64_t block_n,
                                             const SimpleEvictConfig& config) {
  std::vector<std::vector<std::int64_t>> pieces;
  std::vector<std::int64_t> kept;
  std::int64_t n_middle = 0;
  std::int64_t last_block = -1;
  for (std::int64_t i = 0; i < total_len; ++i) {
    if (i < config.sink_tokens || i >= total_len - config.recent_tokens) {
      kept.push_back(i);
      continue;
    }
    if (i / block_n != last_block) pieces.emplace_back();
    last_block = i / block_n;
    pieces.back().push_back(i);
    ++n_middle;
  }
  const auto m = static_cast<std::int64_t>(pieces.size());
  const auto keep_piece = [&](std::int64_t number, std::int64_t n_most) {
    const auto& piece = pieces[static_cast<std::size_t>(number)];
    const auto n = std::min(n_most, static_cast<std::int64_t>(piece.size()));
    kept.insert(kept.end(), piece.begin(), piece.begin() + n);
  };
  const std::int64_t budget = config.middle_budget_tokens;
  if (config.middle_strategy == "uniform" && m > 0) {
    if (config.uniform_stride > 0) {
      for (std::int64_t i = 0; i < m; i += config.uniform_stride) keep_piece(i, block_n);
    } else if (budget >= n_middle) {
      for (std::int64_t i = 0; i < m; ++i) keep_piece(i, block_n);
    } else if (budget > 0 && budget / block_n == 0) {
      keep_piece(m / 2, budget);
    } else if (budget > 0) {
      const std::int64_t k = std::min(m, budget / block_n);
      for (std::int64_t i = 0; i < k; ++i) keep_piece((2 * i + 1) * m / (2 * k), block_n);
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

TEST(SimpleEvictTest, RandomConfigurationsAgreeWithTheDefinition) {
  std::mt19937 random(3);
  const auto draw = [&](std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  };
  for (int round = 0; round < 20000; ++round) {
    SimpleEvictConfig config =
        uniform(draw(0, 30), draw(1, 40), draw(0, 120), draw(0, 3) == 0 ? draw(1, 5) : 0);
    if (draw(0, 5) == 0) config.middle_strategy = "none";
    const std::int64_t total_len = draw(0, 200);
    const std::int64_t block_n = draw(1, 33);
    const KeepSet kept = build_simple_keep_token_idx(total_len, block_n, config);
    ASSERT_EQ(kept.to_indices(), kept_by_definition(total_len, block_n, config))
        << "L " << total_len << ", B " << block_n << ", S " << config.sink_tokens << ", R "
        << config.recent_tokens << ", M " << config.middle_budget_tokens << ", stride "
        << config.uniform_stride;
    if (config.uniform_stride == 0) {
      ASSERT_LE(kept.count(), config.sink_tokens + config.recent_tokens + config.middle_budget_tokens);
    }
  }
}

SimpleEvictConfig from_end_to_end(std::int64_t sink, std::int64_t recent, std::int64_t budget,
                                  std::int64_t stride = 0) {
  return {sink, recent, "uniform", budget, stride, kSpacingEnds};
}

/// `kSpacingEnds` block by block: slow and obvious.
std::vector<std::int64_t> whole_blocks_by_definition(std::int64_t total_len, std::int64_t block_n,
                                                     const SimpleEvictConfig& config) {
  std::vector<std::int64_t> whole;
  const std::int64_t recent_begin = total_len - config.recent_tokens;
  for (std::int64_t block = 0; (block + 1) * block_n <= recent_begin; ++block) {
    if (block * block_n >= config.sink_tokens) whole.push_back(block);
  }
  const auto n = static_cast<std::int64_t>(whole.size());
  const std::int64_t k = std::max<std::int64_t>(1, config.middle_budget_tokens / block_n);
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < n; ++i) {
    bool keeps = false;
    if (config.uniform_stride > 0) {
      keeps = i % config.uniform_stride == 0;
    } else if (config.middle_budget_tokens > 0) {
      keeps = k >= n || i == 0;
      for (std::int64_t j = 0; j < k && k < n && k > 1; ++j) keeps = keeps || j * (n - 1) / (k - 1) == i;
    }
    for (std::int64_t token = 0; keeps && token < block_n; ++token)
      kept.push_back(whole[static_cast<std::size_t>(i)] * block_n + token);
  }
  for (std::int64_t token = 0; token < total_len; ++token) {
    if (token < config.sink_tokens || token >= recent_begin) kept.push_back(token);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

TEST(SimpleEvictTest, EndToEndAgreesWithItsDefinition) {
  std::mt19937 random(4);
  const auto draw = [&](std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  };
  for (int round = 0; round < 20000; ++round) {
    const std::int64_t block_n = draw(1, 33);  // at most 16 blocks: single precision is exact there
    const SimpleEvictConfig config =
        from_end_to_end(draw(0, 30), draw(1, 40), draw(0, 10 * block_n), draw(0, 3) == 0 ? draw(1, 5) : 0);
    const std::int64_t total_len = draw(0, 16 * block_n);
    ASSERT_EQ(build_simple_keep_token_idx(total_len, block_n, config).to_indices(),
              whole_blocks_by_definition(total_len, block_n, config))
        << "L " << total_len << ", B " << block_n << ", S " << config.sink_tokens << ", R "
        << config.recent_tokens << ", M " << config.middle_budget_tokens << ", stride "
        << config.uniform_stride;
  }
}

TEST(SimpleEvictTest, EndToEndGivesTheNumbersOfTheDemosCode) {
  const auto kept = [](std::int64_t total_len, const SimpleEvictConfig& config) {
    return build_simple_keep_token_idx(total_len, 128, config);
  };
  EXPECT_EQ(kept(4096, from_end_to_end(256, 512, 512)),
            KeepSet::from_ranges({{0, 384}, {1280, 1408}, {2304, 2432}, {3456, 4096}}));
  EXPECT_EQ(kept(4096, from_end_to_end(256, 512, 0, 2)), kept(4096, uniform(256, 512, 0, 2)));
  EXPECT_EQ(kept(4000, from_end_to_end(250, 500, 0, 2)).count(), 2414);
  EXPECT_EQ(kept(4096, from_end_to_end(256, 512, 1)), KeepSet::from_ranges({{0, 384}, {3584, 4096}}))
      << "a budget below a block keeps the first";
  EXPECT_EQ(kept(4096, from_end_to_end(256, 512, 100000)), KeepSet::all(4096));
  // torch.linspace(0, 28, 27).long() leaves out 14 and 27; in exact numbers it would be 13 and 27
  std::vector<TokenRange> blocks{{29, 30}};
  for (std::int64_t i = 0; i < 29; ++i) {
    if (i != 14 && i != 27) blocks.push_back({i, i + 1});
  }
  EXPECT_EQ(build_simple_keep_token_idx(30, 1, from_end_to_end(0, 1, 27)), KeepSet::from_ranges(blocks));
}

TEST(SimpleEvictTest, DefaultsAreTheSeeds) {
  const SimpleEvictConfig config;
  EXPECT_EQ(config.sink_tokens, 256);
  EXPECT_EQ(config.recent_tokens, 512);
  EXPECT_EQ(config.middle_strategy, "none");
  EXPECT_EQ(config.middle_budget_tokens, 0);
  EXPECT_EQ(config.uniform_stride, 0);
}

TEST(SimpleEvictTest, SinkAndRecentOf4096) {
  const KeepSet kept = build_simple_keep_token_idx(4096, 128, {});
  EXPECT_EQ(kept, KeepSet::from_ranges({{0, 256}, {3584, 4096}}));
  EXPECT_EQ(kept.count(), 768);
}

TEST(SimpleEvictTest, UniformBudgetOf4096) {
  const KeepSet kept = build_simple_keep_token_idx(4096, 128, uniform(256, 512, 512));
  EXPECT_EQ(kept, KeepSet::from_ranges(
                      {{0, 256}, {640, 768}, {1408, 1536}, {2304, 2432}, {3072, 3200}, {3584, 4096}}));
  EXPECT_EQ(kept.count(), 1280);
}

TEST(SimpleEvictTest, StrideTwoKeepsEverySecondMiddleBlockWhateverTheBudget) {
  const KeepSet kept = build_simple_keep_token_idx(4096, 128, uniform(256, 512, 1, 2));
  for (std::int64_t block = 2; block < 28; ++block) {
    EXPECT_EQ(kept.contains(block * 128), block % 2 == 0) << block;
    EXPECT_EQ(kept.contains(block * 128 + 127), block % 2 == 0) << block;
  }
  EXPECT_EQ(kept.count(), 256 + 13 * 128 + 512);
}

TEST(SimpleEvictTest, EdgesOfTheRanges) {
  EXPECT_TRUE(build_simple_keep_token_idx(0, 128, {}).empty());
  EXPECT_EQ(build_simple_keep_token_idx(1, 128, {}).count(), 1);
  EXPECT_EQ(build_simple_keep_token_idx(768, 128, {}), KeepSet::all(768));
  EXPECT_EQ(build_simple_keep_token_idx(10, 128, uniform(0, 1, 0)), KeepSet::from_ranges({{9, 10}}));
  EXPECT_EQ(build_simple_keep_token_idx(kMaxTokens, 1, uniform(0, 1, kMaxTokens)), KeepSet::all(kMaxTokens));
}

TEST(SimpleEvictTest, ImpossibleNumbersAreRefusedByName) {
  const auto refusal = [](std::int64_t total_len, std::int64_t block_n, const SimpleEvictConfig& config) {
    try {
      (void)build_simple_keep_token_idx(total_len, block_n, config);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string("nothing was refused");
  };
  EXPECT_NE(refusal(-1, 128, {}).find("total_len is -1"), std::string::npos);
  EXPECT_NE(refusal(10, 0, {}).find("block_n is 0"), std::string::npos);
  EXPECT_NE(refusal(10, 128, uniform(-3, 1, 0)).find("sink_tokens is -3"), std::string::npos);
  EXPECT_NE(refusal(10, 128, uniform(0, 0, 0)).find("recent_tokens is 0"), std::string::npos);
  EXPECT_NE(refusal(10, 128, uniform(0, 1, -1)).find("middle_budget is -1"), std::string::npos);
  EXPECT_NE(refusal(10, 128, uniform(0, 1, 0, -1)).find("uniform_stride is -1"), std::string::npos);
  EXPECT_NE(refusal(kMaxTokens + 1, 128, {}).find("total_len"), std::string::npos);
  EXPECT_NE(refusal(100000000, 1, from_end_to_end(0, 1, 99999998)).find("give a larger block"),
            std::string::npos);
  EXPECT_NO_THROW((void)build_simple_keep_token_idx((1 << 24) + 1, 1, from_end_to_end(0, 1, (1 << 24) - 1)));
  EXPECT_NE(refusal(10, 128, {1, 1, "uniform", 0, 0, 2}).find("spacing is 2"), std::string::npos);
  EXPECT_NE(refusal(10, 128, {1, 1, "spiral", 0, 0}).find("\"spiral\""), std::string::npos);
}

}  // namespace
}  // namespace kvevict
