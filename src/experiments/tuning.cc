#include "experiments/tuning.h"

#include <algorithm>

#include "kvevict/registry.h"
#include "results/statistics.h"

namespace kvevict::eval {
namespace {

constexpr double kStoppingConfidence = 0.999;

/// Points, a group for each data set.
using Groups = std::vector<std::vector<double>>;

Groups scores_of(const RunResult& run) {
  Groups groups;
  for (const DatasetResult& dataset : run.datasets) {
    groups.emplace_back();
    for (const ExampleResult& example : dataset.examples) groups.back().push_back(100 * example.score);
  }
  return groups;
}

double score_of(const RunResult& run) {
  std::vector<double> means;
  for (const std::vector<double>& group : scores_of(run)) {
    if (!group.empty()) means.push_back(mean_of(group));
  }
  return mean_of(means);
}

/// All groups as one whose mean is the mean of the groups' means.
std::vector<double> pooled(const Groups& groups) {
  std::size_t n = 0;
  std::size_t n_groups = 0;
  for (const std::vector<double>& group : groups) {
    n += group.size();
    n_groups += group.empty() ? 0 : 1;
  }
  std::vector<double> values;
  for (const std::vector<double>& group : groups) {
    for (const double value : group)
      values.push_back(value * static_cast<double>(n) / static_cast<double>(n_groups * group.size()));
  }
  return values;
}

double upper_end(const Groups& groups) {
  return bootstrap_mean(pooled(groups), {.confidence = kStoppingConfidence}).high;
}

/// Both have the same data sets and examples: candidates of one round.
Groups differences(const RunResult& from, const RunResult& to) {
  Groups groups = scores_of(to);
  const Groups first = scores_of(from);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t i = 0; i < groups[g].size(); ++i) groups[g][i] -= first[g][i];
  }
  return groups;
}

double mean_kv_bytes_of(const RunResult& run) {
  std::vector<double> bytes;
  for (const DatasetResult& dataset : run.datasets) {
    for (const ExampleResult& e : dataset.examples)
      bytes.push_back(static_cast<double>(e.kv_bytes_after_eviction));
  }
  return mean_of(bytes);
}

std::size_t best_run(const std::vector<RunResult>& runs) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const double a = score_of(runs[i]);
    const double b = score_of(runs[best]);
    if (a > b || (a == b && mean_kv_bytes_of(runs[i]) < mean_kv_bytes_of(runs[best]))) best = i;
  }
  return best;
}

}  // namespace

SplitExamples split_examples(const std::vector<LongBenchExample>& examples, std::size_t& n_before) {
  SplitExamples split;
  for (const LongBenchExample& example : examples) {
    const std::size_t in_turn = 2 - n_before / 3 % 3;
    (n_before++ % 3 == in_turn ? split.held_out : split.choosing).push_back(example);
  }
  return split;
}

std::vector<StrategySpec> tuning_grid(std::int64_t n_tokens) {
  std::vector<StrategySpec> grid;
  if (n_tokens < kLeastTuningTokens) return grid;
  for (const PolicyInfo& info : all_policies()) {
    if (!info.shapes) continue;
    for (StrategySpec& spec : info.shapes(n_tokens)) grid.push_back(std::move(spec));
  }
  return grid;
}

std::vector<bool> hopeless_runs(const std::vector<RunResult>& runs, const TuningGoal& goal) {
  std::vector<bool> hopeless(runs.size(), false);
  if (runs.empty() || pooled(scores_of(runs.front())).size() < kLeastPairs) return hopeless;
  const std::size_t best = best_run(runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i == best) continue;
    hopeless[i] = goal.least_score ? upper_end(scores_of(runs[i])) < *goal.least_score
                                   : upper_end(differences(runs[best], runs[i])) < 0;
  }
  return hopeless;
}

std::optional<std::size_t> winning_run(const std::vector<RunResult>& runs, const TuningGoal& goal) {
  if (runs.empty()) return std::nullopt;
  if (!goal.least_score) return best_run(runs);
  std::optional<std::size_t> winner;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const double score = score_of(runs[i]);
    if (score < *goal.least_score) continue;
    const double bytes = mean_kv_bytes_of(runs[i]);
    const double least = winner ? mean_kv_bytes_of(runs[*winner]) : 0;
    if (!winner || bytes < least || (bytes == least && score > score_of(runs[*winner]))) winner = i;
  }
  return winner;
}

}  // namespace kvevict::eval
