#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace kvevict::http {

/// A thread for each connection, made when there is none that waits: many clients that are slow to send
/// keep no other one waiting. Beyond `n_most` connections wait for a thread.
class ConnectionThreads final : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(std::size_t n_most) : n_most_(n_most) {}

  void enqueue(std::function<void()> connection) override;

  /// Ends when all that was taken in has ended.
  void shutdown() override;

  /// Those that were made.
  [[nodiscard]] std::size_t n_threads();

 private:
  void work();
  void make_thread();

  const std::size_t n_most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::size_t n_idle_ = 0;
  bool is_ending_ = false;
};

}  // namespace kvevict::http
