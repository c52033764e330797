#pragma once

#include <cstdint>
#include <string>

#include "base/stopwatch.h"

namespace kvevict::cli {

/// Progress on stderr: a bar that is drawn over itself on a terminal, a line for each step elsewhere.
class Progress {
 public:
  /// `n_done` of the steps were done by an earlier run.
  explicit Progress(std::int64_t n_steps, std::int64_t n_done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One more step is done; `what` says which.
  void step(const std::string& what);

 private:
  [[nodiscard]] std::string remaining() const;

  std::int64_t n_steps_;
  std::int64_t n_before_;
  std::int64_t n_done_;
  bool is_terminal_;
  Stopwatch watch_;
};

}  // namespace kvevict::cli
