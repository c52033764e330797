#pragma once

#include <atomic>

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

/// Calls `job(context, worker)` on `n_threads` workers, the calling thread among them, and waits for
/// all. If the system refuses a thread, or the memory for one, the job runs on fewer.
/// Returns the workers used. REQUIRES: job does not throw.
int run_workers(int n_threads, void (*job)(const void* context, const Worker& worker),
                const void* context) noexcept;

/// The same for anything that can be called with a Worker.
template <typename Job>
int run_workers(int n_threads, const Job& job) noexcept {
  const auto call = [](const void* context, const Worker& worker) {
    (*static_cast<const Job*>(context))(worker);
  };
  return run_workers(n_threads, call, &job);
}

}  // namespace kvevict
