#pragma once

#include <string>
#include <vector>

#include "plot/needle_picture.h"
#include "results/joined_results.h"

namespace kvevict::cli {

/// Files of both kinds that `compare` and `report` read.
struct ResultFiles {
  eval::NamedResults results;  ///< Joined over data sets if they belong together.
  std::vector<plot::NeedlePicture> needles;
};

/// Errors: those of `read_results` and `read_needle_picture`.
[[nodiscard]] ResultFiles read_result_files(const std::vector<std::string>& files);

}  // namespace kvevict::cli
