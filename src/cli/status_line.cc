#include "cli/status_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/paragraph.h"
#include "plot/layout.h"

namespace kvevict::cli {
namespace {

constexpr double kSecondsBetweenLines = 5;

}  // namespace

StatusLine::StatusLine() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

void StatusLine::show(const std::string& what) {
  if (is_terminal_) {
    fmt::print(stderr, "\r\x1b[K{}", plot::shortened(what, kPageWidth - 1));
    std::fflush(stderr);
    is_drawn_ = true;
  } else if (since_last_.seconds() >= kSecondsBetweenLines) {
    fmt::print(stderr, "{}\n", what);
    since_last_.restart();
  }
}

void StatusLine::clear() {
  if (!is_drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  is_drawn_ = false;
}

}  // namespace kvevict::cli
