#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/stopwatch.h"
#include "kvevict/error.h"
#include "serving/answer_backend.h"

namespace kvevict::serving {

/// How a request ended: one of them is there.
struct Outcome {
  std::optional<ChatResult> result{};  ///< Also of an answer that was stopped on its way.
  std::optional<Error> error{};        ///< kCancelled: it was cancelled before it began.
};

/// Where an answer goes. All come from the scheduler's thread, `on_end` of a request that had not begun from
/// the one that cancels it. `on_end` comes exactly once, and nothing behind it. They return soon and throw
/// nothing.
struct AnswerSink {
  std::function<void(std::string_view)> on_text;
  std::function<void(const Outcome&)> on_end;
  /// Seconds between two tokens of the answer, once for each but the first; may be empty.
  std::function<void(double seconds)> on_gap{};
};

/// A request, and where its answer goes.
struct AnswerJob {
  ChatRequest request;
  AnswerSink sink;
};

using Ticket = std::uint64_t;

/// What came of `Scheduler::submit`.
struct Submission {
  std::optional<Ticket> ticket{};    ///< Nothing: it was refused, and nothing was called. Else of the first
                                     ///< answer; those of the others count on from there.
  std::int64_t seconds_to_wait = 0;  ///< Of a refused one: when to try again.
};

/// All of a moment, and all since the beginning.
struct SchedulerFigures {
  std::size_t n_waiting = 0;
  std::size_t n_running = 0;
  std::uint64_t n_steps = 0;        ///< Batches of answers' tokens.
  std::uint64_t n_step_tokens = 0;  ///< Tokens in them: one of each answer that went on.
  std::uint64_t n_chunks = 0;       ///< Chunks of prompts.
};

struct SchedulerLimits {
  std::size_t n_running = 1;       ///< Most answers under way; >= 1.
  std::size_t n_waiting = 32;      ///< Most requests beside as many as could be under way; 0 or more.
  std::size_t n_waiting_each = 0;  ///< Most of one owner; 0: as many as of all.
  /// Tokens of prompts that may go in between two steps, if they are more than those of one chunk.
  std::int64_t n_chunk_tokens = 0;
};

/// A bounded queue of requests in front of a backend. One thread answers up to `n_running` of them at once: a
/// step is a token of each answer, in one batch, and before a step one chunk of one prompt goes in, or as
/// many short prompts as have no more tokens together. So an answer under way waits for no more than that.
/// Prompts with the fewest tokens left go first, and every fourth chunk is that of the answer that waits
/// longest. Owners take turns: the one whose last request began longest ago comes first, with its oldest
/// request whose conversation is not being answered. Requests of one conversation keep their order.
///
/// Several answers to one prompt count as one request of the queue. The first one takes the prompt in, and as
/// many of the others as there is room for go on from there, beside it; those that are left begin behind
/// them, in the same way.
///
/// Thread safety: any number of threads.
class Scheduler {
 public:
  /// `backend` must outlive it.
  Scheduler(AnswerBackend& backend, SchedulerLimits limits);

  /// Cancels what is there and ends.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Refused if the queue is full, for all or for its owner, or it was closed.
  [[nodiscard]] Submission submit(ChatRequest request, AnswerSink sink);

  /// Several answers to the same prompt, of one owner. REQUIRES: one or more.
  [[nodiscard]] Submission submit(std::vector<AnswerJob> answers);

  /// Nobody waits for this answer any more: a request that waits ends at once, one that is answered before
  /// the next step. Nothing happens if it ended already.
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
    ChatRequest request;
    AnswerSink sink;
    Ticket first = 0;  // of the answers to the same prompt
  };
  using Waiting = std::map<Ticket, Job>;
  struct Running {
    Ticket ticket = 0;
    Ticket first = 0;
    AnswerSink sink;
    std::unique_ptr<RunningAnswer> answer;
    bool is_drawing = false;  // others had their chance to go on from its prompt
    Stopwatch watch{};
    Stopwatch since_token{};  // that was drawn last
  };
  using Make = std::function<std::unique_ptr<RunningAnswer>(const Job&)>;

  [[nodiscard]] bool is_idle() const { return waiting_.empty() && begun_.empty() && n_ending_ == 0; }
  [[nodiscard]] bool has_room_for(const std::string& owner) const;
  [[nodiscard]] std::size_t count_waiting() const;
  [[nodiscard]] std::vector<Ticket> in_turn() const;

  // Of the scheduler's own thread.
  void work();
  [[nodiscard]] bool wait_for_work();
  void end_cancelled();
  void begin_next();
  [[nodiscard]] bool begin(Ticket ticket, const Make& make);
  void begin_others();
  [[nodiscard]] bool begin_another(Ticket ticket);
  void take_in_prompts();
  std::int64_t take_in_next(std::optional<std::int64_t> n_most);
  void step();
  [[nodiscard]] static bool draw(Running& one);
  void append(std::span<const Ticket> tickets);
  void end(Ticket ticket, std::optional<Error> error);
  void call_end(const AnswerSink& sink, const Outcome& outcome);
  [[nodiscard]] Running& running(Ticket ticket);

  AnswerBackend& backend_;
  const SchedulerLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Waiting waiting_;
  std::set<Ticket> begun_;                          // that run
  std::set<Ticket> cancelled_;                      // of those
  std::map<std::string, std::uint64_t> last_turn_;  // by owner: when one of its requests began last
  std::uint64_t n_turns_ = 0;
  std::size_t n_ending_ = 0;  // ended, and not told yet
  SchedulerFigures counts_{};
  Ticket n_submitted_ = 0;
  bool may_begin_ = false;  // whether a request may begin that could not before
  bool is_closed_ = false;
  bool is_ending_ = false;
  double seconds_each_ = 1;       // a running mean of what an answer took
  std::vector<Running> running_;  // of the scheduler's own thread; in the order in which they began
  std::thread thread_;
};

}  // namespace kvevict::serving
