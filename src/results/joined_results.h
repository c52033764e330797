#pragma once

#include <string>
#include <vector>

#include "results/results.h"

namespace kvevict::eval {

/// Results files, each with its name.
struct NamedResults {
  std::vector<std::string> names;
  std::vector<Results> files;
};

/// Joins files that hold the same runs over different data sets, as one run of `kvevict longbench` over all
/// of these data sets would have written them. The same: as for a merge, but for the settings that each data
/// set has for itself. Files that share a data set, or whose runs differ, stay apart. A joined file is called
/// by its first one and how many more it is made of: "demo/hotpotqa+6.json". Errors: none.
[[nodiscard]] NamedResults join_by_dataset(NamedResults separate);

}  // namespace kvevict::eval
