#pragma once

#include <string>

#include "results/comparison.h"

namespace kvevict::cli {

/// The comparison as a table with aligned columns, then at most `n_most_flips` flipped examples.
[[nodiscard]] std::string comparison_table(const eval::Comparison& comparison, std::size_t n_most_flips);

/// The same as Markdown tables.
[[nodiscard]] std::string comparison_markdown(const eval::Comparison& comparison, std::size_t n_most_flips);

/// A line for each data set and run, with a header (RFC 4180); no flips.
[[nodiscard]] std::string comparison_csv(const eval::Comparison& comparison);

/// Everything, as documented in docs/file_formats.md ("kvevict-comparison/1").
[[nodiscard]] std::string comparison_json(const eval::Comparison& comparison);

}  // namespace kvevict::cli
