#pragma once

#include <string>
#include <vector>

#include "plot/colours.h"
#include "plot/layout.h"
#include "results/comparison.h"

namespace kvevict::plot {

/// The runs that a plot shows, with their styles. The files that they stand in must outlive it.
struct PlottedRuns {
  std::vector<eval::NamedRun> runs;
  std::vector<RunStyle> styles;  ///< As in `runs`.
};

/// Errors: kInvalidArgument if no run has an example: there is nothing to draw.
[[nodiscard]] PlottedRuns plotted_runs(const std::vector<eval::NamedRun>& runs);

/// A part of a comparison plot that can stand alone or among others.
struct Panel {
  std::string id;    ///< Letters only.
  int height = 300;  ///< In pixels.
  void (*draw)(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip) = nullptr;
};

/// The panels that have something to show: scores with their 95 % intervals for each data set; quality
/// against KV memory with the Pareto front; prefill and decode speed against prompt length (examples whose
/// times are those of several strategies together are left out).
[[nodiscard]] std::vector<Panel> comparison_panels(const PlottedRuns& runs);

/// Mean score over the data sets in points, each data set weighs the same, and its interval.
struct ScorePoint {
  double score = 0;
  eval::Interval interval;
};
[[nodiscard]] ScorePoint overall_score(const eval::RunResult& run);
[[nodiscard]] ScorePoint dataset_score_point(const eval::DatasetResult& dataset);

/// Mean bytes of K and V after the eviction, over all examples of the run.
[[nodiscard]] double mean_kv_bytes(const eval::RunResult& run);

/// Which of the points (x: cost, y: value) no other point beats in both: indices by rising cost.
[[nodiscard]] std::vector<std::size_t> pareto_front(const std::vector<std::pair<double, double>>& points);

}  // namespace kvevict::plot
