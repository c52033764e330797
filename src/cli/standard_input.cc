#include "cli/standard_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <ios>

namespace kvevict::cli {
namespace {

constexpr int kWaitMilliseconds = 100;  // between two looks at the flag

bool is_ready(int milliseconds) {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return poll(&input, 1, milliseconds) > 0;
}

}  // namespace

StandardInput::int_type StandardInput::underflow() {
  while (!is_interrupted_->load(std::memory_order_relaxed)) {
    if (!is_ready(kWaitMilliseconds)) continue;
    const ssize_t n = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) throw std::ios_base::failure("standard input cannot be read");
    if (n == 0) break;
    setg(buffer_.data(), buffer_.data(), buffer_.data() + n);
    return traits_type::to_int_type(*gptr());
  }
  return traits_type::eof();
}

std::streamsize StandardInput::showmanyc() {
  return is_ready(0) ? 1 : 0;
}

}  // namespace kvevict::cli
