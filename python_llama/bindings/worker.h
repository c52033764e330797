#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvevict::python {

/// The thread that everything of one context runs on, one work after the other. Python calls signal handlers
/// on its main thread alone, between steps of its own: a main thread that waits here looks for signals
/// meanwhile, which one within llama.cpp could not. And ggml's threads belong to the thread that calls it:
/// those of one context are made once.
///
/// Thread safety: any number of Python's threads, which wait for their turn.
class Worker {
 public:
  Worker();

  /// REQUIRES: nobody is within `run`.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Runs `work` and returns when it has ended, with the GIL released meanwhile. If a signal handler of
  /// Python throws (KeyboardInterrupt), `cancel` is set, and its exception comes once the work has ended,
  /// whatever came of that. `work` takes no GIL. Errors: what `work` throws; std::runtime_error from a signal
  /// handler that comes in the midst of a work, and in a child process.
  void run(const std::function<void()>& work);

  /// `run`, and what `work` returns.
  template <typename Work>
  auto result_of(const Work& work) {
    using Result = decltype(work());
    if constexpr (std::is_void_v<Result>) {
      run(work);
    } else {
      std::optional<Result> result;
      run([&] { result.emplace(work()); });
      return std::move(*result);
    }
  }

  /// Runs `work`, which throws nothing and does not own the worker, behind what runs now; does not wait for
  /// it.
  void post(std::function<void()> work);

  /// Set while a work is to end early; what polls it: `SessionOptions::cancel`.
  [[nodiscard]] const std::atomic<bool>* cancel() const noexcept { return &cancel_; }

 private:
  void loop();
  void require_usable() const;
  void wait_for_turn();
  std::exception_ptr wait_for_end();

  const pid_t process_;
  std::timed_mutex turn_;
  std::atomic<std::thread::id> user_{};  // whose turn it is
  std::atomic<bool> cancel_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;
  std::exception_ptr failed_{};
  std::vector<std::function<void()>> posted_{};
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace kvevict::python
