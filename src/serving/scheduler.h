#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "kvevict/error.h"
#include "serving/answer_backend.h"

namespace kvevict::serving {

/// How a request ended: one of them is there.
struct Outcome {
  std::optional<ChatResult> result{};  ///< Also of an answer that was stopped on its way.
  std::optional<Error> error{};        ///< kCancelled: it was cancelled before it began.
};

/// Where an answer goes. `on_text` and `on_end` come from the scheduler's thread, `on_end` of a request that
/// had not begun from the one that cancels it. `on_end` comes exactly once, and nothing behind it. They
/// return soon and throw nothing.
struct AnswerSink {
  std::function<void(std::string_view)> on_text;
  std::function<void(const Outcome&)> on_end;
};

using Ticket = std::uint64_t;

/// What came of `Scheduler::submit`.
struct Submission {
  std::optional<Ticket> ticket{};    ///< Nothing: it was refused, and nothing was called.
  std::int64_t seconds_to_wait = 0;  ///< Of a refused one: when to try again.
};

struct SchedulerFigures {
  std::size_t n_waiting = 0;
  std::size_t n_running = 0;
};

/// A bounded queue of requests in front of a backend. One thread answers them one after the other, in the
/// order in which they came: so those of one conversation keep their order.
///
/// Thread safety: any number of threads.
class Scheduler {
 public:
  /// `backend` must outlive it. `n_waiting`: most requests that wait, beside the one that is answered; 0 or
  /// more.
  Scheduler(AnswerBackend& backend, std::size_t n_waiting);

  /// Cancels what is there and ends.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Refused if the queue is full, or it was closed.
  [[nodiscard]] Submission submit(ChatRequest request, AnswerSink sink);

  /// Nobody waits for this answer any more: a request that waits ends at once, one that is answered within
  /// one token. Nothing happens if it ended already.
  void cancel(Ticket ticket);

  /// Takes no more requests.
  void close();

  /// Waits until every request has ended; returns whether that was within `most`.
  bool wait_until_idle(std::chrono::milliseconds most);

  /// `cancel` for all.
  void cancel_all();

  [[nodiscard]] SchedulerFigures figures() const;

 private:
  struct Job {
    Ticket ticket = 0;
    ChatRequest request;
    AnswerSink sink;
  };

  void work();
  void run(const Job& job);

  AnswerBackend& backend_;
  const std::size_t n_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  std::optional<Ticket> running_;
  Ticket n_submitted_ = 0;
  bool is_closed_ = false;
  bool is_ending_ = false;
  double seconds_each_ = 1;  // a running mean of what an answer took
  std::thread thread_;
};

}  // namespace kvevict::serving
