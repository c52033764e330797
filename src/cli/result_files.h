#pragma once

#include <string>
#include <vector>

#include "eval/joined_results.h"
#include "plot/needle_picture.h"

namespace kvevict::cli {

/// Files of both kinds that `compare` and `report` read.
struct ResultFiles {
  NamedResults results;  ///< Joined over data sets where they belong together.
  std::vector<NeedlePicture> needles;
};

/// Errors: those of `read_results` and `read_needle_picture`.
[[nodiscard]] ResultFiles read_result_files(const std::vector<std::string>& files);

}  // namespace kvevict::cli
