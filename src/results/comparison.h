#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results/results.h"
#include "results/statistics.h"

namespace kvevict::eval {

/// A run that is compared, and what it is called in the comparison.
struct NamedRun {
  std::string name;
  const RunResult* run = nullptr;
  const Results* file = nullptr;  ///< The file that the run stands in.
};

/// The figures of one run over the compared examples of one data set, or of all (dataset "all").
/// Means over the examples; speeds over their sums, and nothing if the times are shared.
struct ComparedRun {
  double score = 0;  ///< 100 x the mean; of "all": the mean of the data sets' scores.
  double kept_tokens = 0;
  double kv_bytes = 0;  ///< After the eviction.
  std::optional<double> prefill_tokens_per_second;
  std::optional<double> decode_tokens_per_second;
  /// Against the first run; scores in points (0 … 100). Nothing for the first run itself.
  std::optional<PairedComparison> against_first;
};

struct ComparedDataset {
  std::string dataset;
  std::size_t n_examples = 0;
  std::vector<ComparedRun> runs;  ///< As in Comparison::names.
};

/// An example that one run answers well (score of at least 0.5) and the first run does not, or the other way.
struct Flip {
  std::string dataset, id;
  std::size_t run = 0;  ///< Index in Comparison::names.
  double score_first = 0, score = 0;
  std::string prediction_first, prediction;
  std::vector<std::string> answers;
};

struct Comparison {
  std::vector<std::string> names;
  std::vector<ComparedDataset> datasets;  ///< In the first run's order; then "all", if there are several.
  std::vector<Flip> flips;
  std::size_t n_left_out = 0;  ///< Examples that not every run has: they are not compared.
};

/// All runs of several files, named by their strategy, and by "file:strategy" if that is not enough.
/// `file_names` and `files` belong together; the files must outlive the result.
[[nodiscard]] std::vector<NamedRun> name_runs(const std::vector<std::string>& file_names,
                                              const std::vector<Results>& files);

/// Compares every run with the first one over the examples that all of them have.
/// Errors: kInvalidArgument for fewer than two runs, if no example is in all of them, and if models, data
/// files, prompt templates or prompts differ (it says which), unless `allows_different`.
[[nodiscard]] Comparison compare_runs(const std::vector<NamedRun>& runs, bool allows_different,
                                      const Resampling& resampling = {});

}  // namespace kvevict::eval
