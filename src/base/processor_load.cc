#include "base/processor_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "base/process_info.h"
#include "base/processors.h"

namespace kvevict {
namespace {

/// Shorter measurements say little: the system counts processor time in hundredths of a second.
constexpr double kSecondsBetween = 0.2;

/// Whether this process is niced itself: then what niced programs take is taken from it.
bool is_niced() {
  errno = 0;
  const int nice = getpriority(PRIO_PROCESS, 0);
  return errno == 0 && nice > 0;
}

}  // namespace

std::optional<double> busy_seconds(const std::string& stat, std::span<const int> processors, bool with_nice) {
  std::istringstream lines(stat);
  double ticks = 0;
  bool is_known = false;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name.rfind("cpu", 0) != 0 || name.size() == 3) continue;
    const int number = std::atoi(name.c_str() + 3);
    if (std::find(processors.begin(), processors.end(), number) == processors.end()) continue;
    std::array<double, 8> t{};  // user nice system idle iowait irq softirq steal
    for (double& value : t) words >> value;
    ticks += t[0] + (with_nice ? t[1] : 0) + t[2] + t[5] + t[6] + t[7];
    is_known = true;
  }
  if (!is_known) return std::nullopt;
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double free_processors_between(const ProcessorTimes& from, const ProcessorTimes& to, int n_processors) {
  const double seconds = std::chrono::duration<double>(to.at - from.at).count();
  if (seconds <= 0) return n_processors;
  const double others = (to.all - from.all) - (to.own - from.own);
  return std::clamp(n_processors - others / seconds, 0.0, static_cast<double>(n_processors));
}

ProcessorLoad::ProcessorLoad(std::filesystem::path stat_file)
    : stat_file_(std::move(stat_file)), processors_(allowed_processors()), with_nice_(is_niced()) {
  last_ = measure();
}

std::optional<ProcessorTimes> ProcessorLoad::measure() const {
  std::ifstream file(stat_file_);
  const std::string stat((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::optional<double> all = busy_seconds(stat, processors_, with_nice_);
  if (!all) return std::nullopt;
  return ProcessorTimes{.at = std::chrono::steady_clock::now(), .all = *all, .own = cpu_seconds()};
}

std::optional<double> ProcessorLoad::free_processors() {
  const std::lock_guard lock(mutex_);
  if (!last_) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  if (std::chrono::duration<double>(now - last_->at).count() < kSecondsBetween) return free_;
  if (const std::optional<ProcessorTimes> times = measure()) {
    free_ = free_processors_between(*last_, *times, n_processors());
    last_ = times;
  }
  return free_;
}

}  // namespace kvevict
