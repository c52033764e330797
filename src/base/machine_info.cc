#include "base/machine_info.h"

#include <fmt/chrono.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <thread>

namespace kvevict {
namespace {

/// The value of the first line "key … : value" in a file of /proc or /etc.
std::string value_in(const char* path, const std::string& key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t at = line.find(separator);
    if (at == std::string::npos) continue;
    const std::size_t from = line.find_first_not_of(" \t\"", at + 1);
    const std::size_t to = line.find_last_not_of(" \t\"");
    return from == std::string::npos ? std::string() : line.substr(from, to - from + 1);
  }
  return {};
}

}  // namespace

std::map<std::string, std::string> machine_info() {
  utsname system{};
  uname(&system);
  const double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return {{"cpu", value_in("/proc/cpuinfo", "model name", ':')},
          {"processors", std::to_string(std::thread::hardware_concurrency())},
          {"memory_gib", fmt::format("{:.1f}", bytes / (1 << 30))},
          {"system", fmt::format("{} {} {}, {}", system.sysname, system.release, system.machine,
                                 value_in("/etc/os-release", "PRETTY_NAME", '='))}};
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

}  // namespace kvevict
