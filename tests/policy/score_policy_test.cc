#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "kvevict/error.h"
#include "kvevict/policy.h"

namespace kvevict {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The rule, token by token: sort everything by (class, score, newest) and take the first ones.
KeepSet chosen_by_definition(const StrategySpec& spec, const std::map<std::int64_t, double>& scored,
                             std::int64_t n_first_new, std::int64_t n_tokens) {
  const SimpleEvictConfig& config = spec.config;
  const std::int64_t pool = spec.name == "snapkv" ? spec.pool : 1;
  std::vector<std::pair<std::int64_t, double>> older;  // what the pooling sees
  for (const auto& [token, score] : scored) {
    if (token < n_tokens - config.recent_tokens && token < n_tokens) older.emplace_back(token, score);
  }
  struct Candidate {
    int rank;
    double score;
    std::int64_t token;
  };
  std::vector<Candidate> candidates;
  const auto add = [&](std::int64_t token, int rank, double score) {
    const bool is_always = token < config.sink_tokens || token >= n_tokens - config.recent_tokens;
    candidates.push_back({is_always ? 2 : rank, is_always ? 0 : score, token});
  };
  for (const auto& [token, score] : scored) {
    if (token >= n_tokens) continue;
    double highest = score;
    const auto place =
        std::find_if(older.begin(), older.end(), [&, t = token](const auto& o) { return o.first == t; });
    if (place != older.end()) {
      const auto at = place - older.begin();
      for (auto i = std::max<std::ptrdiff_t>(0, at - pool / 2);
           i <= std::min<std::ptrdiff_t>(std::ssize(older) - 1, at + pool / 2); ++i) {
        highest = std::max(highest, older[static_cast<std::size_t>(i)].second);
      }
    }
    add(token, 0, highest);
  }
  for (std::int64_t token = n_first_new; token < n_tokens; ++token) add(token, 1, 0);
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.rank != b.rank) return a.rank > b.rank;
    return a.score != b.score ? a.score > b.score : a.token > b.token;
  });
  const auto budget =
      static_cast<std::size_t>(config.sink_tokens + config.recent_tokens + config.middle_budget_tokens);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < std::min(budget, candidates.size()); ++i) kept.push_back(candidates[i].token);
  return KeepSet::from_indices(kept);
}

class ScorePolicyTest : public testing::Test {
 protected:
  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

  StrategySpec random_spec() {
    const char* const names[] = {"h2o", "snapkv", "tova"};
    StrategySpec spec = parse_strategy(names[draw(0, 2)]);
    spec.config.sink_tokens = draw(0, 8);
    spec.config.recent_tokens = draw(1, 20);
    spec.config.middle_budget_tokens = draw(0, 40);
    if (spec.name == "snapkv") {
      spec.window = draw(1, spec.config.recent_tokens);
      spec.pool = 2 * draw(0, 6) + 1;
    }
    spec.per_layer = draw(0, 2);
    return spec;
  }

  /// A cache with holes, the same in all layers, with scores in eighths: many are equal, sums are exact.
  TokenScores random_scores(std::int64_t n_layers) {
    KeepSet held;
    std::int64_t token = 0;
    for (std::int64_t i = draw(1, 6); i > 0; --i) {
      const std::int64_t begin = token + draw(0, 9);
      token = begin + draw(1, 30);
      held.append(begin, token);
    }
    TokenScores scores{.held = KeepPlan(held), .by_layer = {}};
    for (std::int64_t l = 0; l < n_layers; ++l) {
      scores.by_layer.emplace_back();
      for (std::int64_t i = held.count(); i > 0; --i)
        scores.by_layer.back().push_back(static_cast<float>(draw(0, 16)) / 8);
    }
    return scores;
  }

  std::mt19937 random_{17};
};

std::map<std::int64_t, double> by_token(const TokenScores& scores, std::size_t first, std::size_t last) {
  std::map<std::int64_t, double> result;
  const std::vector<std::int64_t> tokens = scores.held.layer(0).to_indices();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double sum = 0;
    for (std::size_t l = first; l < last; ++l) sum += static_cast<double>(scores.by_layer[l][i]);
    result[tokens[i]] = sum / static_cast<double>(last - first);
  }
  return result;
}

TEST_F(ScorePolicyTest, IsTheDefinitionWithRandomValues) {
  constexpr std::size_t kLayers = 4;  // means of eighths are exact
  for (int round = 0; round < 4000; ++round) {
    const StrategySpec spec = random_spec();
    const TokenScores scores = random_scores(kLayers);
    const std::int64_t n_scored = scores.held.layer(0).end();
    const std::int64_t n = std::max<std::int64_t>(1, n_scored + draw(-10, 10));  // a cut, or tokens to come
    PolicyState state{.n_layers = kLayers, .layers_may_differ = draw(0, 1) == 1, .scores = &scores};
    const KeepPlan plan = make_policy(spec)->plan(n, state);
    for (std::size_t l = 0; l < kLayers; ++l) {
      const bool is_own = spec.per_layer == 1 || (spec.per_layer == 2 && state.layers_may_differ);
      const auto scored = by_token(scores, is_own ? l : 0, is_own ? l + 1 : kLayers);
      ASSERT_EQ(plan.layer(l), chosen_by_definition(spec, scored, n_scored, n))
          << to_string(spec) << ", layer " << l << " at " << n << " of " << n_scored;
    }
  }
}

TEST_F(ScorePolicyTest, AsksForTheQueriesOfItsRule) {
  const auto request = [](const char* text) { return make_policy(text)->score_request(); };
  EXPECT_EQ(request("h2o"), ScoreRequest{0});
  EXPECT_EQ(request("snapkv"), ScoreRequest{32});
  EXPECT_EQ(request("snapkv:window=8"), ScoreRequest{8});
  EXPECT_EQ(request("tova"), ScoreRequest{1});
  for (const char* text : {"h2o", "snapkv", "tova"}) {
    EXPECT_EQ(make_policy(text)->budget_tokens({}), 1024) << text;
  }
}

/// The plan of `strategy` with these scores of one layer and `n_new` tokens to come.
KeepSet plan_of(const char* strategy, std::vector<float> scores, std::int64_t n_new = 0) {
  const auto n = static_cast<std::int64_t>(scores.size());
  const TokenScores all{.held = KeepPlan(KeepSet::all(n)), .by_layer = {std::move(scores)}};
  PolicyState state{.n_layers = 1, .scores = &all};
  return make_policy(strategy)->plan(n + n_new, state).layer(0);
}

TEST_F(ScorePolicyTest, WorkedCases) {
  EXPECT_EQ(plan_of("h2o:1:2:2", {0, 5, 1, 9, 2, 0, 0}), KeepSet::from_ranges({{0, 2}, {3, 4}, {5, 7}}));
  EXPECT_EQ(plan_of("tova:0:1:2", {1, 1, 1, 1, 0}), KeepSet::from_ranges({{2, 5}}))
      << "the newest among equals";
  EXPECT_EQ(plan_of("snapkv:0:1:3:window=1:pool=3", {0, 0, 0, 4, 0, 0, 9}),
            KeepSet::from_ranges({{2, 5}, {6, 7}}))
      << "neighbours of an important token stay, the window's own scores do not count";
  EXPECT_EQ(plan_of("h2o:0:1:2", {3, 2, 1, 0}, 1), KeepSet::from_ranges({{0, 2}, {4, 5}}));
  EXPECT_EQ(plan_of("h2o:1:1:1", {3, 9, 9}, 3), KeepSet::from_ranges({{0, 1}, {4, 6}}))
      << "new before scored";
}

TEST_F(ScorePolicyTest, ScoresThatAreNoNumbersCountAsNothing) {
  EXPECT_EQ(plan_of("h2o:0:1:2", {kNan, 2, kInfinity, 1, -kInfinity, 0}),
            KeepSet::from_ranges({{1, 2}, {3, 4}, {5, 6}}));
}

TEST_F(ScorePolicyTest, LayersThatHoldOtherTokensDecideForThemselves) {
  const TokenScores scores{
      .held = {{KeepSet::from_ranges({{0, 2}, {4, 6}}), KeepSet::from_ranges({{1, 3}, {4, 6}})}, {0, 1}},
      .by_layer = {{9, 1, 5, 0}, {9, 1, 5, 0}}};
  PolicyState state{.n_layers = 2, .scores = &scores};
  const KeepPlan own = make_policy("h2o:0:1:1:per_layer=1")->plan(6, state);
  EXPECT_EQ(own.layer(0), KeepSet::from_ranges({{0, 1}, {5, 6}}));
  EXPECT_EQ(own.layer(1), KeepSet::from_ranges({{1, 2}, {5, 6}}));
  const KeepPlan shared = make_policy("h2o:0:1:1")->plan(6, state);  // both hold 1, 4 and 5
  EXPECT_TRUE(shared.is_shared());
  EXPECT_EQ(shared.layer(0), KeepSet::from_ranges({{4, 6}}));  // 1 and 4 have a mean of 5: the newer one
}

std::string refusal(const char* strategy, std::int64_t n_tokens, const TokenScores* scores,
                    std::int64_t n_layers = 1) {
  try {
    PolicyState state{.n_layers = n_layers, .scores = scores};
    (void)make_policy(strategy)->plan(n_tokens, state);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was refused";
}

TEST_F(ScorePolicyTest, RefusesToGuess) {
  EXPECT_NE(refusal("h2o:0:2:2", 5, nullptr).find("no attention scores for its 5 tokens"), std::string::npos);
  EXPECT_EQ(refusal("h2o:0:2:2", 4, nullptr), "nothing was refused") << "all of them stay";
  const TokenScores too_few{.held = KeepPlan(KeepSet::all(5)), .by_layer = {{1, 2, 3, 4}}};
  EXPECT_NE(refusal("tova:0:1:2", 5, &too_few).find("do not fit the cache"), std::string::npos);
  const TokenScores good{.held = KeepPlan(KeepSet::all(4)), .by_layer = {{1, 2, 3, 4}}};
  EXPECT_NE(refusal("tova:0:1:2", 4, &good, 2).find("do not fit the cache"), std::string::npos);
  EXPECT_EQ(refusal("tova:0:1:2", 4, &good), "nothing was refused");
  EXPECT_NE(refusal("snapkv:0:8:9", 4, &good).find("window that votes has 32"), std::string::npos);
}

}  // namespace
}  // namespace kvevict
