#include "eval/tuning.h"

#include <algorithm>

#include "kvevict/statistics.h"

namespace kvevict {
namespace {

constexpr double kStoppingConfidence = 0.99;

/// Scores in points, a group for each data set.
using Groups = std::vector<std::vector<double>>;

Groups scores_of(const RunResult& run) {
  Groups groups;
  for (const DatasetResult& dataset : run.datasets) {
    groups.emplace_back();
    for (const ExampleResult& example : dataset.examples) groups.back().push_back(100 * example.score);
  }
  return groups;
}

PairedComparison score_of(const RunResult& run) {
  return compare_pairs(scores_of(run), {.confidence = kStoppingConfidence});  // differences to 0
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
    const double a = score_of(runs[i]).difference;
    const double b = score_of(runs[best]).difference;
    if (a > b || (a == b && mean_kv_bytes_of(runs[i]) < mean_kv_bytes_of(runs[best]))) best = i;
  }
  return best;
}

StrategySpec spec_of(const std::string& name, std::int64_t sink, std::int64_t recent, std::int64_t middle) {
  StrategySpec spec = parse_strategy(name);
  spec.config.sink_tokens = sink;
  spec.config.recent_tokens = recent;
  spec.config.middle_budget_tokens = middle;
  return spec;
}

}  // namespace

SplitExamples split_examples(const std::vector<LongBenchExample>& examples, std::size_t& n_before) {
  SplitExamples split;
  for (const LongBenchExample& example : examples) {
    (n_before++ % 3 == 2 ? split.held_out : split.choosing).push_back(example);
  }
  return split;
}

std::vector<StrategySpec> tuning_grid(std::int64_t n_tokens) {
  std::vector<StrategySpec> grid;
  if (n_tokens < kLeastTuningTokens) return grid;
  grid.push_back(spec_of("streaming_llm", 4, n_tokens - 4, 0));
  for (const std::int64_t sink : {std::int64_t{4}, std::int64_t{64}}) {
    const std::int64_t n_left = n_tokens - sink;
    if (n_left < 2) continue;
    grid.push_back(spec_of("sink_recent", sink, n_left, 0));
    for (const std::int64_t quarters : {1, 2, 3}) {
      const std::int64_t middle = n_left * quarters / 4 / kDefaultBlockTokens * kDefaultBlockTokens;
      const StrategySpec spec = spec_of("sink_recent_uniform", sink, n_left - middle, middle);
      if (middle > 0 && std::find(grid.begin(), grid.end(), spec) == grid.end()) grid.push_back(spec);
    }
  }
  return grid;
}

std::vector<bool> hopeless_runs(const std::vector<RunResult>& runs, const TuningGoal& goal) {
  std::vector<bool> hopeless(runs.size(), false);
  if (runs.empty() || score_of(runs.front()).n_pairs < kLeastPairs) return hopeless;
  const std::size_t best = best_run(runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i == best) continue;
    if (goal.least_score) {
      hopeless[i] = score_of(runs[i]).interval.high < *goal.least_score;
    } else {
      hopeless[i] =
          compare_pairs(differences(runs[best], runs[i]), {.confidence = kStoppingConfidence}).interval.high <
          0;
    }
  }
  return hopeless;
}

std::optional<std::size_t> winning_run(const std::vector<RunResult>& runs, const TuningGoal& goal) {
  if (runs.empty()) return std::nullopt;
  if (!goal.least_score) return best_run(runs);
  std::optional<std::size_t> winner;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (score_of(runs[i]).difference < *goal.least_score) continue;
    if (!winner || mean_kv_bytes_of(runs[i]) < mean_kv_bytes_of(runs[*winner])) winner = i;
  }
  return winner;
}

}  // namespace kvevict
