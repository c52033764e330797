#pragma once

#include <string>

namespace kvevict {

/// Processors that this process may really use: its affinity mask, cut by the control group's
/// quota if there is one. At least 1. More threads than this make decoding collapse.
[[nodiscard]] int usable_processors();

/// More processors than any machine has: no quota.
inline constexpr int kNoQuota = 1 << 16;

/// Processors that the control group's quota "max period" in `quota_file` grants, rounded up; kNoQuota
/// without one.
[[nodiscard]] int quota_processors(const std::string& quota_file);

}  // namespace kvevict
