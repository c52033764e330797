#include "policy/score_policy.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "kvevict/error.h"
#include "policy/highest_ranked.h"

namespace kvevict {
namespace {

/// Each value becomes the highest of the `width` values around it (odd), fewer at the ends. O(values).
void pool_highest(std::span<float> values, std::int64_t width) {
  if (width <= 1) return;
  const auto n = static_cast<std::int64_t>(values.size());
  const std::int64_t reach = width / 2;
  const auto at = [&](std::int64_t i) -> float& { return values[static_cast<std::size_t>(i)]; };
  std::vector<float> pooled(values.size());
  std::deque<std::int64_t> falling;  // places in reach whose values fall
  for (std::int64_t i = 0, next = 0; i < n; ++i) {
    for (; next < n && next <= i + reach; ++next) {
      while (!falling.empty() && at(falling.back()) <= at(next)) falling.pop_back();
      falling.push_back(next);
    }
    while (falling.front() < i - reach) falling.pop_front();
    pooled[static_cast<std::size_t>(i)] = at(falling.front());
  }
  std::copy(pooled.begin(), pooled.end(), values.begin());
}

/// The number of layers that `scores` is for, once it is sure that they fit what is held.
std::size_t checked_layers(const std::string& name, const TokenScores& scores, std::int64_t n_layers) {
  const std::size_t n = scores.by_layer.size();
  bool fits = n > 0 && (scores.held.is_shared() || scores.held.n_layers() == n);
  fits = fits && (n_layers == 0 || static_cast<std::size_t>(n_layers) == n);
  for (std::size_t l = 0; fits && l < n; ++l) {
    fits = static_cast<std::int64_t>(scores.by_layer[l].size()) == scores.held.layer(l).count();
  }
  if (fits) return n;
  throw Error(ErrorCode::kInvalidArgument,
              name +
                  " got attention scores that do not fit the cache: for each layer of the model one score "
                  "for each token that the layer holds is needed");
}

/// Adds the scores of one layer to the sums of the tokens `common`, which are all among `held`.
void add_common(const KeepSet& held, std::span<const float> scores, const KeepSet& common,
                std::vector<double>& sums) {
  const std::vector<std::int64_t> tokens = held.to_indices();
  const std::vector<std::int64_t> wanted = common.to_indices();
  for (std::size_t row = 0, i = 0; i < wanted.size(); ++row) {
    if (tokens[row] == wanted[i]) sums[i++] += static_cast<double>(finite_rank(scores[row]));
  }
}

}  // namespace

std::optional<std::int64_t> ScorePolicy::budget_tokens(const PolicyState& /*state*/) const {
  return spec_.config.sink_tokens + spec_.config.recent_tokens + spec_.config.middle_budget_tokens;
}

KeepPlan ScorePolicy::plan(std::int64_t n_tokens_seen, PolicyState& state) const {
  require_plannable(n_tokens_seen);
  if (state.scores == nullptr) {
    if (n_tokens_seen <= *budget_tokens(state)) return KeepPlan(KeepSet::all(n_tokens_seen));
    throw Error(ErrorCode::kInvalidArgument,
                spec_.name + " chooses by a model's attention, and there are no attention scores for its " +
                    std::to_string(n_tokens_seen) + " tokens");
  }
  const TokenScores& scores = *state.scores;
  static_cast<void>(checked_layers(spec_.name, scores, state.n_layers));
  const std::int64_t n_scored = std::min(scores.held.in_any_layer().end(), n_tokens_seen);
  const TokenRange fresh{n_scored, n_tokens_seen};
  const bool is_apart = needs_layers_apart() || (is_per_layer() && state.layers_may_differ);
  return is_apart ? plan_each_layer(scores, fresh) : plan_shared(scores, fresh);
}

KeepPlan ScorePolicy::plan_shared(const TokenScores& scores, TokenRange fresh) const {
  KeepSet common = scores.held.distinct_sets().front();
  for (const KeepSet& set : scores.held.distinct_sets()) common = common.intersect(set);
  std::vector<double> sums(static_cast<std::size_t>(common.count()), 0);
  for (std::size_t l = 0; l < scores.by_layer.size(); ++l) {
    add_common(scores.held.layer(l), scores.by_layer[l], common, sums);
  }
  std::vector<float> means;
  means.reserve(sums.size());
  for (const double sum : sums) {
    means.push_back(static_cast<float>(sum / static_cast<double>(scores.by_layer.size())));
  }
  return KeepPlan(choose(common, means, fresh, *budget_tokens({})));
}

KeepPlan ScorePolicy::plan_each_layer(const TokenScores& scores, TokenRange fresh) const {
  std::int64_t n_most = *budget_tokens({});
  const KeepPlan left = scores.held.intersect(KeepPlan(KeepSet::all(fresh.begin)));
  if (left.is_shared() && left.count() + fresh.count() <= n_most) {
    KeepPlan all = left;
    all.append(fresh.begin, fresh.end);
    return all;
  }
  n_most = equal_count(left, fresh, n_most);
  std::vector<KeepSet> sets;
  std::vector<std::size_t> set_of_layer;
  for (std::size_t l = 0; l < scores.by_layer.size(); ++l) {
    sets.push_back(choose(scores.held.layer(l), scores.by_layer[l], fresh, n_most));
    set_of_layer.push_back(l);
  }
  return {std::move(sets), std::move(set_of_layer)};
}

KeepSet ScorePolicy::choose(const KeepSet& held, std::span<const float> scores, TokenRange fresh,
                            std::int64_t n_most) const {
  const KeepSet scored = held.intersect(KeepSet::all(fresh.begin));
  std::vector<float> ranks;
  for (std::int64_t i = 0; i < scored.count(); ++i)
    ranks.push_back(finite_rank(scores[static_cast<std::size_t>(i)]));
  const std::int64_t recent_begin = std::max<std::int64_t>(0, fresh.end - spec_.config.recent_tokens);
  const std::int64_t n_older = scored.intersect(KeepSet::all(recent_begin)).count();
  pool_highest(std::span(ranks).first(static_cast<std::size_t>(n_older)), rule_.pool);
  return highest_ranked(scored, std::move(ranks), fresh, spec_.config, n_most);
}

}  // namespace kvevict
