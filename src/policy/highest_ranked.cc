#include "policy/highest_ranked.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr float kAlways = std::numeric_limits<float>::infinity();
constexpr float kNoScoreYet = std::numeric_limits<float>::max();

}  // namespace

void require_plannable(std::int64_t n_tokens) {
  if (n_tokens >= 0 && n_tokens <= kMaxTokens) return;
  throw Error(ErrorCode::kInvalidArgument, "a plan of " + std::to_string(n_tokens) +
                                               " tokens was asked for: a number from 0 to " +
                                               std::to_string(kMaxTokens) + " is needed");
}

float finite_rank(float score) {
  return std::isfinite(score) ? std::min(score, std::nextafter(kNoScoreYet, 0.0F)) : 0.0F;
}

KeepSet highest_ranked(const KeepSet& held, std::vector<float> ranks, TokenRange fresh,
                       const SimpleEvictConfig& ends, std::int64_t n_most) {
  KeepSet candidates = held;
  candidates.append(fresh.begin, fresh.end);
  if (candidates.count() <= n_most) return candidates;
  const std::vector<std::int64_t> tokens = candidates.to_indices();
  ranks.resize(tokens.size(), kNoScoreYet);
  const std::int64_t recent_begin = fresh.end - ends.recent_tokens;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < ends.sink_tokens || tokens[i] >= recent_begin) ranks[i] = kAlways;
  }
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto is_higher = [&](std::size_t a, std::size_t b) {
    return ranks[a] != ranks[b] ? ranks[a] > ranks[b] : a > b;
  };
  std::nth_element(order.begin(), order.begin() + n_most, order.end(), is_higher);
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < n_most; ++i) kept.push_back(tokens[order[static_cast<std::size_t>(i)]]);
  return KeepSet::from_indices(kept);
}

std::int64_t equal_count(const KeepPlan& held, TokenRange fresh, std::int64_t n_budget) {
  for (const KeepSet& set : held.distinct_sets()) n_budget = std::min(n_budget, set.count() + fresh.count());
  return n_budget;
}

}  // namespace kvevict
