#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <thread>

namespace kvevict {
namespace {

namespace fs = std::filesystem;

int processors_of(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return kNoQuota;
  return static_cast<int>(std::clamp(std::ceil(quota / period), 1.0, static_cast<double>(kNoQuota)));
}

double number_in(const fs::path& path) {
  std::ifstream file(path);
  double number = 0;
  return file >> number ? number : 0;
}

/// Version 1: cpu.cfs_quota_us is -1 without a quota.
int quota_of_version_1(const fs::path& folder) {
  return processors_of(number_in(folder / "cpu.cfs_quota_us"), number_in(folder / "cpu.cfs_period_us"));
}

/// Calls `visit` with the folder of the group `path` below `mount`, and with those around it.
template <typename Visit>
void visit_upwards(const fs::path& mount, const std::string& path, const Visit& visit) {
  for (fs::path group = fs::path(path).relative_path();; group = group.parent_path()) {
    visit(mount / group);
    if (group.empty()) return;
  }
}

}  // namespace

std::vector<int> allowed_processors() {
  std::vector<int> numbers;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) numbers.push_back(i);
    }
  }
  // A machine with more processors than a cpu_set_t counts refuses the question.
  const int n = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  for (int i = 0; numbers.empty() && i < n; ++i) numbers.push_back(i);
  return numbers;
}

int quota_processors(const std::string& quota_file) {
  std::ifstream file(quota_file);
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max") return kNoQuota;
  return processors_of(std::strtod(quota.c_str(), nullptr), period);
}

int group_quota_processors(const fs::path& groups, const fs::path& mount) {
  int least = quota_processors((mount / "cpu.max").string());
  std::ifstream file(groups);
  for (std::string line; std::getline(file, line);) {  // "number:controllers:path"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      visit_upwards(mount, path, [&](const fs::path& folder) {
        least = std::min(least, quota_processors((folder / "cpu.max").string()));
      });
    } else if (controllers.find(",cpu,") != std::string::npos) {
      visit_upwards(mount / "cpu", path,
                    [&](const fs::path& folder) { least = std::min(least, quota_of_version_1(folder)); });
    }
  }
  return least;
}

int count_cores(std::span<const int> processors, const fs::path& system) {
  std::set<std::string> cores;
  for (const int number : processors) {
    std::ifstream file(system / ("cpu" + std::to_string(number)) / "topology" / "thread_siblings_list");
    std::string siblings;  // the processors of one core name the same list
    cores.insert(std::getline(file, siblings) && !siblings.empty() ? siblings
                                                                   : "alone " + std::to_string(number));
  }
  return static_cast<int>(cores.size());
}

int usable_processors() {
  return std::max(1, std::min(static_cast<int>(allowed_processors().size()), group_quota_processors()));
}

int usable_cores() {
  return std::max(1, std::min(count_cores(allowed_processors()), group_quota_processors()));
}

}  // namespace kvevict
