#pragma once

#include <atomic>

namespace kvevict::cli {

enum class InterruptMode {
  kEndsProgram,  ///< The first Ctrl-C (or SIGTERM) sets the flag, a second one ends the program at once.
  kKeepsOn,      ///< Every Ctrl-C sets the flag, until `clear`; system calls that wait return.
};

/// While it lives, Ctrl-C sets a flag that the library polls. One at a time: signals belong to the process.
class InterruptGuard {
 public:
  explicit InterruptGuard(InterruptMode mode = InterruptMode::kEndsProgram);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  [[nodiscard]] const std::atomic<bool>* flag() const noexcept;

  /// Forgets the Ctrl-C seen so far, and says whether there was one.
  bool clear() noexcept;
};

}  // namespace kvevict::cli
