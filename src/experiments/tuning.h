#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/longbench_runner.h"
#include "kvevict/strategy_spec.h"
#include "results/results.h"

namespace kvevict::eval {

/// The examples of one data set in two parts: those that a configuration is chosen by, and those that no
/// choice sees.
struct SplitExamples {
  std::vector<LongBenchExample> choosing;
  std::vector<LongBenchExample> held_out;
};

/// Holds one of each three examples out, in turn the third, the second and the first, so that in data with
/// three questions on each document the held-out ones are not all of one kind. `n_before` counts the examples
/// over all data sets, so that small data sets give some too; it is moved on.
[[nodiscard]] SplitExamples split_examples(const std::vector<LongBenchExample>& examples,
                                           std::size_t& n_before);

/// Strategies that hold at most `n_tokens` tokens a layer: the shapes that the registry's rows name. Empty if
/// `n_tokens` is below kLeastTuningTokens.
[[nodiscard]] std::vector<StrategySpec> tuning_grid(std::int64_t n_tokens);

inline constexpr std::int64_t kLeastTuningTokens = 16;

/// What the choice aims at.
struct TuningGoal {
  /// The least acceptable score (0 … 100): the smallest memory that reaches it wins. Without it the best
  /// score wins.
  std::optional<double> least_score;
};

/// The stopping rule, over the examples that all of `runs` have answered. A run is hopeless if the 99.9 %
/// paired bootstrap interval of its difference to the best run lies below 0; with a least score, if its
/// own interval lies below that score. Data sets weigh the same; examples are drawn from all of them
/// together, since within a data set of one or two examples there is nothing to draw. Nothing is hopeless
/// before kLeastPairs examples, and the best run never is. Errors: none.
[[nodiscard]] std::vector<bool> hopeless_runs(const std::vector<RunResult>& runs, const TuningGoal& goal);

inline constexpr std::size_t kLeastPairs = 8;

/// The run to recommend: the best score, and among equal ones the least memory; with a least score, the least
/// memory among the runs that reach it, and among equal ones the best score, or nothing if none reaches
/// it. Index in `runs`.
[[nodiscard]] std::optional<std::size_t> winning_run(const std::vector<RunResult>& runs,
                                                     const TuningGoal& goal);

}  // namespace kvevict::eval
