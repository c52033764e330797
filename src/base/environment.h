#pragma once

#include <string>

namespace kvevict {

/// The environment variable `name`; empty if it is not set.
[[nodiscard]] std::string environment_variable(const char* name);

}  // namespace kvevict
