#include "http/connection_threads.h"

#include <system_error>
#include <utility>

namespace kvevict::http {

void ConnectionThreads::enqueue(std::function<void()> connection) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(connection));
    if (waiting_.size() > n_idle_ && threads_.size() < n_most_) make_thread();
  }
  changed_.notify_one();
}

/// REQUIRES: the caller holds the lock.
void ConnectionThreads::make_thread() {
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) throw;  // else one of them takes it when it has time
  }
}

void ConnectionThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::size_t ConnectionThreads::n_threads() {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

void ConnectionThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    n_idle_ += 1;
    changed_.wait(lock, [&] { return !waiting_.empty() || is_ending_; });
    n_idle_ -= 1;
    if (waiting_.empty()) return;
    const std::function<void()> connection = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    connection();
    lock.lock();
  }
}

}  // namespace kvevict::http
