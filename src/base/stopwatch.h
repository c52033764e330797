#pragma once

#include <chrono>

namespace kvevict {

/// Wall-clock seconds since it was made or started again. Thread safety: one thread, or readers alone.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }
  void restart() { start_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace kvevict
