#pragma once

#include <atomic>

namespace kvevict::cli {

/// While it lives, the first Ctrl-C (or SIGTERM) sets a flag that the library polls; a second one ends
/// the program at once. One at a time: signals belong to the process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  [[nodiscard]] const std::atomic<bool>* flag() const noexcept;
};

}  // namespace kvevict::cli
