#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/paragraph.h"
#include "plot/layout.h"

namespace kvevict::cli {

Progress::Progress(std::int64_t n_steps, std::int64_t n_done)
    : n_steps_(n_steps), n_before_(n_done), n_done_(n_done), is_terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_ && n_done_ > n_before_) std::fputc('\n', stderr);
}

std::string Progress::remaining() const {
  const double elapsed = watch_.seconds();
  const double per_second = static_cast<double>(n_done_ - n_before_) / std::max(elapsed, 1e-9);
  const auto seconds = static_cast<std::int64_t>(static_cast<double>(n_steps_ - n_done_) / per_second);
  if (seconds < 60) return fmt::format("{} s left", seconds);
  return seconds < 3600 ? fmt::format("{} min left", (seconds + 59) / 60)
                        : fmt::format("{:.1f} h left", static_cast<double>(seconds) / 3600);
}

void Progress::step(const std::string& what) {
  ++n_done_;
  if (!is_terminal_) {
    const auto width = std::to_string(n_steps_).size();
    fmt::print(stderr, "[{:>{}}/{}, {}] {}\n", n_done_, width, n_steps_, remaining(), what);
    return;
  }
  constexpr std::int64_t kWidth = 12;
  const auto n_full = static_cast<std::size_t>(n_done_ * kWidth / n_steps_);
  const std::string bar = std::string(n_full, '#') + std::string(kWidth - n_full, '-');
  const std::string line = fmt::format("[{}] {}/{}, {}: {}", bar, n_done_, n_steps_, remaining(), what);
  fmt::print(stderr, "\r\x1b[K{}",
             plot::shortened(line, kPageWidth - 1));  // a longer one could not be drawn over
  std::fflush(stderr);
}

}  // namespace kvevict::cli
