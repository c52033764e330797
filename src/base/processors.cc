#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

namespace kvevict {
namespace {

int affinity_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return static_cast<int>(std::thread::hardware_concurrency());
  return CPU_COUNT(&set);
}

}  // namespace

int quota_processors(const std::string& quota_file) {
  std::ifstream file(quota_file);
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return kNoQuota;
  const double processors = std::ceil(std::strtod(quota.c_str(), nullptr) / period);
  return static_cast<int>(std::clamp(processors, 1.0, static_cast<double>(kNoQuota)));
}

int usable_processors() {
  return std::max(1, std::min(affinity_processors(), quota_processors("/sys/fs/cgroup/cpu.max")));
}

}  // namespace kvevict
