#pragma once

#include <atomic>
#include <functional>

namespace kvevict {

/// Where workers wait for each other. Never throws and never allocates.
class WorkerBarrier {
 public:
  explicit WorkerBarrier(int n_workers) noexcept : n_workers_(n_workers) {}

  void arrive_and_wait() noexcept;

 private:
  int n_workers_;
  std::atomic<int> n_arrived_{0};
  std::atomic<int> round_{0};
};

/// One worker's place among those that run a job.
struct Worker {
  int number = 0;
  int n_workers = 1;
  WorkerBarrier* barrier = nullptr;
};

/// The threads to use where the caller names none: the processors that this process may run on.
[[nodiscard]] int default_threads() noexcept;

/// Runs `job` on `n_threads` workers, the calling thread among them, and waits for all. Where the
/// system refuses a thread the job runs on fewer; `job` must not throw. Returns the workers used.
/// Errors: std::bad_alloc, before the job has begun anywhere.
int run_workers(int n_threads, const std::function<void(const Worker&)>& job);

}  // namespace kvevict
