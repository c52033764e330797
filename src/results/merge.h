#pragma once

#include <string>
#include <vector>

#include "results/results.h"

namespace kvevict::eval {

/// Shards of one run as the results of the whole: examples in the data's order, whatever the order of the
/// files. A run's seconds are the sum of its shards'; if the shards ran on different machines the machine
/// is "several". Errors: kInvalidArgument for files of different configurations, for examples that two
/// files have (they are named), and, unless `allows_gaps`, for examples that none has (likewise).
[[nodiscard]] Results merge_results(const std::vector<std::string>& file_names,
                                    const std::vector<Results>& files, bool allows_gaps);

}  // namespace kvevict::eval
