#include "cli/interrupt.h"

#include <csignal>

namespace kvevict::cli {
namespace {

std::atomic<bool> interrupted{false};  // a signal handler can reach nothing else
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int number) {
  interrupted.store(true, std::memory_order_relaxed);
  std::signal(number, SIG_DFL);
}

void on_repeated_signal(int) {
  interrupted.store(true, std::memory_order_relaxed);
}

}  // namespace

InterruptGuard::InterruptGuard(InterruptMode mode) {
  interrupted = false;
  if (mode == InterruptMode::kKeepsOn) {
    struct sigaction action {};
    action.sa_handler = on_repeated_signal;
    sigaction(SIGINT, &action, nullptr);
    return;
  }
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

const std::atomic<bool>* InterruptGuard::flag() const noexcept {
  return &interrupted;
}

bool InterruptGuard::clear() noexcept {
  return interrupted.exchange(false, std::memory_order_relaxed);
}

}  // namespace kvevict::cli
