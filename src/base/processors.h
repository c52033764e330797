#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace kvevict {

/// Numbers of the processors that this process may run on (its affinity mask), as the system counts them:
/// two for a core with hyperthreads. Not empty.
[[nodiscard]] std::vector<int> allowed_processors();

/// Processors that this process may really use: its affinity mask, cut by the control groups' quota if there
/// is one. At least 1. More threads than this make decoding collapse.
[[nodiscard]] int usable_processors();

/// Threads that computing should have: one for each core that this process may use, cut by the quota. A
/// second thread on a core shares its arithmetic units and gains nothing. At least 1.
[[nodiscard]] int usable_cores();

/// More processors than any machine has: no quota.
inline constexpr int kNoQuota = 1 << 16;

/// Processors that the quota "max period" in `quota_file` (cpu.max of a control group) grants, rounded up;
/// kNoQuota without one.
[[nodiscard]] int quota_processors(const std::string& quota_file);

/// The least quota of this process's control group and of those around it, version 2 or 1. `groups`: the
/// process's groups as in /proc/self/cgroup; `mount`: where their files are.
[[nodiscard]] int group_quota_processors(const std::filesystem::path& groups = "/proc/self/cgroup",
                                         const std::filesystem::path& mount = "/sys/fs/cgroup");

/// Different cores among `processors`; as many as processors where the system does not say which belong
/// together. `system`: the folder with `cpu0`, `cpu1`, …
[[nodiscard]] int count_cores(std::span<const int> processors,
                              const std::filesystem::path& system = "/sys/devices/system/cpu");

}  // namespace kvevict
