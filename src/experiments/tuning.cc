#include "experiments/tuning.h"

#include <algorithm>

#include "kvevict/registry.h"
#include "results/statistics.h"

namespace kvevict::eval {
namespace {

constexpr double kStoppingConfidence = 0.999;

double score_of(const RunResult& run) {
  return bootstrap_groups(points_by_dataset(run), {.n_resamples = 1}).mean;
}

std::size_t n_examples_of(const RunResult& run) {
  std::size_t n = 0;
  for (const DatasetResult& dataset : run.datasets) n += dataset.examples.size();
  return n;
}

double upper_end(const std::vector<std::vector<double>>& groups) {
  return bootstrap_groups(groups, {.confidence = kStoppingConfidence}).interval.high;
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
  if (runs.empty() || n_examples_of(runs.front()) < kLeastPairs) return hopeless;
  const std::size_t best = best_run(runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i == best) continue;
    hopeless[i] = goal.least_score ? upper_end(points_by_dataset(runs[i])) < *goal.least_score
                                   : upper_end(points_by_dataset(runs[i], &runs[best])) < 0;
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
