#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plot/needle_picture.h"
#include "results/comparison.h"

namespace kvevict::plot {

/// Where each token of a prompt ends, in bytes; nothing if the tokens are not known.
using TokenEnds = std::function<std::optional<std::vector<std::size_t>>(const eval::RunInfo& run,
                                                                        const std::string& prompt)>;

struct ReportOptions {
  std::string title = "KV cache eviction: results";
  std::size_t n_prompts = 20;  ///< Examples of each data set whose prompts are put into the page.
  TokenEnds token_ends{};      ///< Without it, where kept parts begin is estimated, and the page says so.
};

/// One HTML page that needs nothing else, no network either: summary, tables that sort, the plots as SVG,
/// every example with the kept parts of its prompt. `runs` view the files that they stand in.
/// Errors: kInvalidArgument if there is nothing to show, and those of `draw_with_gnuplot`.
[[nodiscard]] std::string report_html(const std::vector<eval::NamedRun>& runs,
                                      const std::vector<NeedlePicture>& needles,
                                      const ReportOptions& options);

}  // namespace kvevict::plot
