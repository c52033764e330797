#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kvevict::cli {

/// Progress on stderr: a bar that is drawn over itself on a terminal, a line for each step elsewhere.
class Progress {
 public:
  explicit Progress(std::int64_t n_steps);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One more step is done; `what` says which.
  void step(const std::string& what);

 private:
  [[nodiscard]] std::string remaining() const;

  std::int64_t n_steps_;
  std::int64_t n_done_ = 0;
  bool is_terminal_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace kvevict::cli
