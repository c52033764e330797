#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "experiments/longbench_runner.h"
#include "experiments/tuning.h"

namespace kvevict::eval {

/// Candidates that answer the same examples, and their results. Those that cannot win any more are given up.
struct TuningRace {
  LongBenchJob job;                 ///< `strategies`: the candidates that are still in it.
  Results results;                  ///< A run for each of those.
  std::vector<RunResult> given_up;  ///< "interrupted", with what they had answered.
};

/// Called before each round.
using RoundBegins = std::function<void(std::size_t n_candidates, std::int64_t n_examples)>;

/// Round after round with more examples (a quarter, half, all of `choosing`) and fewer candidates
/// (`hopeless_runs`). Errors: those of `run_longbench`; what is done stays in `race`.
void run_tuning_race(TuningRace& race, const std::vector<DatasetJob>& choosing, const TuningGoal& goal,
                     const RoundBegins& on_round);

[[nodiscard]] std::int64_t count_examples(const std::vector<DatasetJob>& datasets);

}  // namespace kvevict::eval
