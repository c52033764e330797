#pragma once

#include <string>
#include <vector>

#include "results/results.h"

namespace kvevict::eval {

/// An answered example with a score; its prompt is `id`'s own.
[[nodiscard]] ExampleResult example_result(const std::string& id, double score);

/// A complete file: a run for each of `strategies` over one data set ("qasper") with the examples a, b, …
/// and the scores given, the same for every run.
[[nodiscard]] Results example_results(const std::vector<std::string>& strategies,
                                      const std::vector<double>& scores);

}  // namespace kvevict::eval
