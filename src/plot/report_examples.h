#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "plot/comparison_panels.h"
#include "plot/report.h"

namespace kvevict::plot {

/// The examples of a report: their list for the page, and what its script shows of each.
struct ReportExamples {
  std::string html;
  nlohmann::json data;  ///< {"runs", "prompts", "examples"}
};

[[nodiscard]] ReportExamples report_examples(const PlottedRuns& runs, const ReportOptions& options);

}  // namespace kvevict::plot
