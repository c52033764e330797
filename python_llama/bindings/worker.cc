#include "worker.h"

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/scope_guard.h"

namespace kvevict::python {
namespace {

namespace nb = nanobind;

constexpr std::chrono::milliseconds kLookAtSignals{50};

/// What a signal handler of Python throws, if one waits and throws. REQUIRES: the GIL is released.
std::optional<nb::python_error> thrown_by_signal() {
  const nb::gil_scoped_acquire acquired;
  if (PyErr_CheckSignals() == 0) return std::nullopt;
  return std::optional<nb::python_error>(std::in_place);
}

}  // namespace

Worker::Worker() : process_(getpid()), thread_([this] { loop(); }) {}

Worker::~Worker() {
  if (getpid() != process_) {  // a child process has no such thread
    thread_.detach();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return work_ != nullptr || !posted_.empty() || is_ending_; });
    std::vector<std::function<void()>> posted = std::exchange(posted_, {});
    const std::function<void()>* const work = work_;
    if (posted.empty() && work == nullptr) return;
    lock.unlock();
    for (const std::function<void()>& one : posted) one();
    posted.clear();  // and what they own
    std::exception_ptr failed;
    try {
      if (work != nullptr) (*work)();
    } catch (...) {
      failed = std::current_exception();
    }
    lock.lock();
    if (work == nullptr) continue;
    work_ = nullptr;
    failed_ = failed;
    changed_.notify_all();
  }
}

void Worker::require_usable() const {
  if (getpid() != process_) {
    throw std::runtime_error(
        "the session belongs to the process that made it: a process that was forked from that must load the "
        "model "
        "anew");
  }
  if (user_ == std::this_thread::get_id()) {
    throw std::runtime_error(
        "the session is at work: a signal handler that came meanwhile cannot use it before the call has "
        "ended");
  }
}

void Worker::wait_for_turn() {
  while (!turn_.try_lock_for(kLookAtSignals)) {
    if (std::optional<nb::python_error> thrown = thrown_by_signal())
      throw nb::python_error(std::move(*thrown));
  }
}

/// Waits until the work has ended, and returns what it threw or what a signal handler threw.
std::exception_ptr Worker::wait_for_end() {
  std::exception_ptr interrupted;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kLookAtSignals, [&] { return work_ == nullptr; })) {
    if (interrupted) continue;
    lock.unlock();
    if (std::optional<nb::python_error> thrown = thrown_by_signal()) {
      interrupted = std::make_exception_ptr(nb::python_error(std::move(*thrown)));
      cancel_ = true;
    }
    lock.lock();
  }
  const std::exception_ptr failed = std::exchange(failed_, nullptr);
  return interrupted ? interrupted : failed;
}

void Worker::run(const std::function<void()>& work) {
  require_usable();
  std::exception_ptr failed;
  {
    const nb::gil_scoped_release released;
    wait_for_turn();
    const OnExit leave([this] {
      user_ = std::thread::id();
      turn_.unlock();
    });
    user_ = std::this_thread::get_id();
    cancel_ = false;
    {
      const std::lock_guard lock(mutex_);
      work_ = &work;
    }
    changed_.notify_all();
    failed = wait_for_end();
  }
  if (failed) std::rethrow_exception(failed);
}

void Worker::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  changed_.notify_all();
}

}  // namespace kvevict::python
