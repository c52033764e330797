#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/registry.h"
#include "policy/key_scores.h"
#include "policy/neighbour_scores.h"
#include "support/plain_keys.h"

namespace kvevict {
namespace {

using test::PlainKeys;

constexpr std::int64_t kHeads = 3;
constexpr std::int64_t kDim = 10;  // no multiple of a vector's width
constexpr std::size_t kLayers = 4;

/// The score of each row by its definition, in double: mean over heads of -cos(k, mean of k / |k|).
std::vector<double> scores_by_definition(const std::vector<float>& rows) {
  const std::size_t n = rows.size() / (kHeads * kDim);
  std::vector<double> scores(n, 0);
  for (std::size_t h = 0; h < kHeads; ++h) {
    std::vector<std::vector<double>> directions;
    std::vector<double> mean(kDim, 0);
    for (std::size_t r = 0; r < n; ++r) {
      std::vector<double> key;
      double square = 0;
      for (std::size_t d = 0; d < kDim; ++d) {
        key.push_back(rows[(r * kHeads + h) * kDim + d]);
        square += key.back() * key.back();
      }
      for (std::size_t d = 0; d < kDim; ++d) {
        key[d] /= std::sqrt(square);
        mean[d] += key[d] / static_cast<double>(n);
      }
      directions.push_back(key);
    }
    double length = 0;
    for (const double m : mean) length += m * m;
    for (std::size_t r = 0; r < n; ++r) {
      double cosine = 0;
      for (std::size_t d = 0; d < kDim; ++d) cosine += directions[r][d] * mean[d] / std::sqrt(length);
      scores[r] -= cosine / kHeads;
    }
  }
  return scores;
}

class KeyDiffTest : public testing::Test {
 protected:
  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

  /// Keys around one direction, as a model's are.
  std::vector<float> random_rows(std::int64_t n) {
    std::normal_distribution<float> noise(0, 1);
    std::vector<float> rows;
    for (std::int64_t i = 0; i < n * kHeads * kDim; ++i)
      rows.push_back(noise(random_) + (i % kDim == 0 ? 2.0F : 0.0F));
    return rows;
  }

  std::mt19937 random_{11};
};

TEST_F(KeyDiffTest, ScoresAreMinusTheCosineToTheMeanOfTheDirections) {
  for (const std::int64_t n : {1, 2, 7, 600, 1300}) {
    const std::vector<float> rows = random_rows(n);
    const std::vector<float> scores = key_differences({rows, kHeads, kDim});
    const std::vector<double> expected = scores_by_definition(rows);
    ASSERT_EQ(scores.size(), expected.size());
    for (std::size_t r = 0; r < scores.size(); ++r) ASSERT_NEAR(scores[r], expected[r], 2e-6) << n;
  }
}

TEST_F(KeyDiffTest, AKeyWithoutADirectionScoresNothingAndMovesNoOther) {
  const std::vector<float> alone = random_rows(20);
  for (const float value :
       {0.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> rows = alone;
    rows.insert(rows.end(), kHeads * kDim, value);
    std::vector<float> scores = key_differences({rows, kHeads, kDim});
    EXPECT_EQ(scores.back(), 0) << value;
    scores.pop_back();
    EXPECT_EQ(scores, key_differences({alone, kHeads, kDim})) << value;
  }
}

TEST_F(KeyDiffTest, RowsOfAnotherLengthAreRefused) {
  const std::vector<float> rows(7 * kHeads * kDim + 1, 1);
  std::vector<double> sums(7);
  EXPECT_THROW(add_key_differences({rows, kHeads, kDim}, sums), Error);
}

/// The rule, token by token, over a stream of evictions.
class ByDefinition {
 public:
  explicit ByDefinition(const StrategySpec& spec) : spec_(spec) {}

  KeepSet plan(const KeepSet& held, const std::vector<double>& scores, std::int64_t n_seen) {
    const std::vector<std::int64_t> tokens = held.to_indices();
    for (std::size_t i = 0; i < tokens.size(); ++i) last_[tokens[i]] = scores[i];
    struct Candidate {
      int rank;
      double score;
      std::int64_t token;
    };
    std::vector<Candidate> candidates;
    for (std::int64_t token = 0; token < n_seen; ++token) {
      const bool is_held = held.contains(token);
      if (!is_held && token < held.end()) continue;
      const bool is_always = token < spec_.config.sink_tokens || token >= n_seen - spec_.config.recent_tokens;
      candidates.push_back(
          {is_always ? 2 : (is_held ? 0 : 1), is_held && !is_always ? smoothed(token) : 0, token});
    }
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      if (a.rank != b.rank) return a.rank > b.rank;
      return a.score != b.score ? a.score > b.score : a.token > b.token;
    });
    const auto n = static_cast<std::size_t>(spec_.config.sink_tokens + spec_.config.recent_tokens +
                                            spec_.config.middle_budget_tokens);
    std::vector<std::int64_t> kept;
    for (std::size_t i = 0; i < std::min(n, candidates.size()); ++i) kept.push_back(candidates[i].token);
    return KeepSet::from_indices(kept);
  }

 private:
  [[nodiscard]] double smoothed(std::int64_t token) const {
    double sum = 0;
    int n = 0;
    for (std::int64_t t = token - spec_.smooth / 2; t <= token + spec_.smooth / 2; ++t) {
      const auto found = last_.find(t);
      if (found == last_.end()) continue;
      sum += found->second;
      ++n;
    }
    return sum / n;
  }

  StrategySpec spec_;
  std::map<std::int64_t, double> last_;  // the last score of every token that ever had one
};

TEST_F(KeyDiffTest, KeepsWhatTheRuleKeepsOverAStreamOfEvictions) {
  for (int round = 0; round < 150; ++round) {
    StrategySpec spec = parse_strategy("keydiff");
    spec.config = {
        .sink_tokens = draw(0, 5), .recent_tokens = draw(1, 20), .middle_budget_tokens = draw(1, 30)};
    spec.smooth = 2 * draw(0, 4) + 1;
    const auto policy = make_policy(spec);
    ByDefinition rule(spec);
    PolicyState state{.schedule = Schedule::kStreaming, .n_layers = kLayers};
    KeepSet held;
    std::int64_t n_cached = 0;
    for (int step = 0; step < 6; ++step) {
      held.append(n_cached, n_cached + draw(1, 40));
      n_cached = held.end();
      const std::int64_t n_seen = n_cached + draw(0, 1) * draw(1, 10);  // some are still to come
      std::vector<std::vector<float>> layers;
      std::vector<double> scores(static_cast<std::size_t>(held.count()), 0);
      for (std::size_t l = 0; l < kLayers; ++l) {
        layers.push_back(random_rows(held.count()));
        const std::vector<double> of_layer = scores_by_definition(layers.back());
        for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += of_layer[i] / kLayers;
      }
      PlainKeys keys(KeepPlan(held), layers, kHeads, kDim);
      state.keys = &keys;
      const KeepPlan plan = policy->plan(n_seen, state);
      ASSERT_TRUE(plan.is_shared());
      const bool fits = held.count() + n_seen - n_cached <= *policy->budget_tokens(state);
      ASSERT_EQ(plan.layer(0), rule.plan(held, scores, n_seen)) << to_string(spec) << " at " << n_seen;
      ASSERT_EQ(keys.n_read(), fits ? 0 : static_cast<int>(kLayers)) << "keys are read only to choose";
      held = held.intersect(plan.layer(0));
    }
  }
}

TEST_F(KeyDiffTest, EachLayerForItselfKeepsWhatThatLayerAloneWould) {
  const auto each = make_policy("keydiff:2:5:9:per_layer=1");
  const auto alone = make_policy("keydiff:2:5:9");
  std::vector<std::vector<float>> layers;
  for (std::size_t l = 0; l < kLayers; ++l) layers.push_back(random_rows(60));
  PolicyState state{.n_layers = kLayers};
  PlainKeys keys(KeepPlan(KeepSet::all(60)), layers, kHeads, kDim);
  state.keys = &keys;
  const KeepPlan plan = each->plan(60, state);
  ASSERT_EQ(plan.n_layers(), kLayers);
  for (std::size_t l = 0; l < kLayers; ++l) {
    PlainKeys one(KeepPlan(KeepSet::all(60)), {layers[l]}, kHeads, kDim);
    PolicyState own{.n_layers = 1, .keys = &one};
    EXPECT_EQ(plan.layer(l), alone->plan(60, own).layer(0)) << l;
  }
  EXPECT_NE(plan.layer(0), plan.layer(1));
}

TEST_F(KeyDiffTest, WhatNoHeldTokenReachesIsForgotten) {
  const auto policy = make_policy("keydiff:2:5:9:smooth=5");
  PolicyState state{.schedule = Schedule::kStreaming, .n_layers = 1};
  KeepSet held;
  std::size_t longest = 0;
  for (std::int64_t n = 0; n < 4000; n += 10) {
    held.append(n, n + 10);
    PlainKeys keys(KeepPlan(held), {random_rows(held.count())}, kHeads, kDim);
    state.keys = &keys;
    held = held.intersect(policy->plan(n + 10, state).layer(0));
    const std::string text = state.memory ? state.memory->save() : "";
    longest = std::max(longest, static_cast<std::size_t>(std::count(text.begin(), text.end(), ':')));
  }
  EXPECT_LE(longest, 5U * (2 + 5 + 9 + 10));
  EXPECT_GT(longest, 2U + 5 + 9);
}

TEST_F(KeyDiffTest, AMiddleOfNothingIsRefused) {
  try {
    (void)make_policy("keydiff:4:64:0");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "keydiff is left no token to choose between a sink of 4 and a recent window of 64: a middle "
                 "budget of 1 or more is needed, or the strategy sink_recent");
    EXPECT_EQ(error.field(), "middle_budget");
  }
}

TEST_F(KeyDiffTest, WithoutKeysOnlyWhatFitsCanBePlanned) {
  const auto policy = make_policy("keydiff:4:6:10");
  PolicyState state;
  EXPECT_EQ(policy->plan(20, state), KeepPlan(KeepSet::all(20)));
  EXPECT_THROW((void)policy->plan(21, state), Error);
}

TEST_F(KeyDiffTest, ATotalBudgetIsHalfRecentUnlessAnotherWindowWasChosen) {
  StrategySpec spec = parse_strategy("keydiff");
  set_total_budget(spec, 256);
  EXPECT_EQ(to_string(spec), "keydiff:4:128:124");
  spec = parse_strategy("keydiff:4:32");
  set_total_budget(spec, 256);
  EXPECT_EQ(to_string(spec), "keydiff:4:32:220");
}

}  // namespace
}  // namespace kvevict
