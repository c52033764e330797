#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvevict {

/// Processor time up to one moment, in seconds.
struct ProcessorTimes {
  std::chrono::steady_clock::time_point at{};
  double all = 0;  ///< Of every program, on the processors that count.
  double own = 0;  ///< Of this process, over all threads.
};

/// Seconds that `processors` have worked, in the text of /proc/stat: user, system, interrupts and what a
/// host took away; nothing if the text names none of them. `with_nice`: also what niced programs took.
[[nodiscard]] std::optional<double> busy_seconds(const std::string& stat, std::span<const int> processors,
                                                 bool with_nice);

/// Processors of `n_processors` that other programs left free between two moments, 0 … n_processors.
[[nodiscard]] double free_processors_between(const ProcessorTimes& from, const ProcessorTimes& to,
                                             int n_processors);

/// What other programs leave of the processors that this process may run on, measured as time goes by. Where
/// the system does not say (no /proc/stat), nothing is known.
///
/// Programs that were started with `nice` count as if they were not there: the system lets them run in the
/// time that is left over. Thread safety: any number of threads.
class ProcessorLoad {
 public:
  explicit ProcessorLoad(std::filesystem::path stat_file = "/proc/stat");

  /// Processors that were free since the measurement before, which is made anew where it is older than 0.2
  /// seconds; nothing before the first one. Cost: mostly a look at a clock, else a read of a small file.
  [[nodiscard]] std::optional<double> free_processors();

  [[nodiscard]] int n_processors() const noexcept { return static_cast<int>(processors_.size()); }

 private:
  [[nodiscard]] std::optional<ProcessorTimes> measure() const;

  std::filesystem::path stat_file_;
  std::vector<int> processors_;
  bool with_nice_ = false;
  std::mutex mutex_;
  std::optional<ProcessorTimes> last_;
  std::optional<double> free_;
};

}  // namespace kvevict
