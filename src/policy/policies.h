#pragma once

#include <vector>

#include "kvevict/registry.h"

namespace kvevict {

/// The library's own policies, in the order in which they are listed. Adding one is a file and a row.
[[nodiscard]] std::vector<PolicyInfo> built_in_policies();

}  // namespace kvevict
