#include "tensors/workers.h"

#include <optional>
#include <thread>
#include <vector>

namespace kvevict {

void WorkerBarrier::arrive_and_wait() noexcept {
  const int round = round_.load(std::memory_order_acquire);
  if (n_arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_workers_) {
    n_arrived_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_acq_rel);
    round_.notify_all();
    return;
  }
  while (round_.load(std::memory_order_acquire) == round) round_.wait(round, std::memory_order_acquire);
}

int run_workers(int n_threads, void (*job)(const void* context, const Worker& worker),
                const void* context) noexcept {
  std::optional<WorkerBarrier> barrier;
  std::atomic<int> n_workers{0};  // known once every thread that can be had is there
  std::vector<std::thread> threads;
  const auto run = [&](int number) {
    n_workers.wait(0, std::memory_order_acquire);
    job(context, {number, n_workers.load(std::memory_order_acquire), &*barrier});
  };
  try {
    for (int number = 1; number < n_threads; ++number) threads.emplace_back(run, number);
  } catch (...) {
    // No more threads: those that there are do the work.
  }
  const int n = static_cast<int>(threads.size()) + 1;
  barrier.emplace(n);
  n_workers.store(n, std::memory_order_release);
  n_workers.notify_all();
  run(0);
  for (std::thread& thread : threads) thread.join();
  return n;
}

}  // namespace kvevict
