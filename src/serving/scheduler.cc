#include "serving/scheduler.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "base/stopwatch.h"

namespace kvevict::serving {
namespace {

constexpr double kNewestShare = 0.2;  // of the newest answer in the mean
constexpr double kLongestWait = 600;  // seconds

Outcome cancelled() {
  return {.error = Error(ErrorCode::kCancelled, "the request was cancelled before its answer began")};
}

}  // namespace

Scheduler::Scheduler(AnswerBackend& backend, std::size_t n_waiting)
    : backend_(backend), n_waiting_(n_waiting), thread_([this] { work(); }) {}

Scheduler::~Scheduler() {
  close();
  cancel_all();
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Submission Scheduler::submit(ChatRequest request, AnswerSink sink) {
  Submission submission;
  {
    const std::lock_guard lock(mutex_);
    const bool is_idle = !running_ && waiting_.empty();  // then it begins at once, however short the queue is
    if (is_closed_ || (waiting_.size() >= n_waiting_ && !is_idle)) {
      const double seconds = std::ceil(seconds_each_ * static_cast<double>(waiting_.size() + 1));
      submission.seconds_to_wait = static_cast<std::int64_t>(std::clamp(seconds, 1.0, kLongestWait));
      return submission;
    }
    submission.ticket = ++n_submitted_;
    waiting_.push_back({*submission.ticket, std::move(request), std::move(sink)});
  }
  changed_.notify_all();
  return submission;
}

void Scheduler::cancel(Ticket ticket) {
  std::optional<Job> job;
  {
    const std::lock_guard lock(mutex_);
    if (running_ == ticket) backend_.set_cancelled(true);
    const auto found = std::ranges::find(waiting_, ticket, &Job::ticket);
    if (found == waiting_.end()) return;
    job = std::move(*found);
    waiting_.erase(found);
  }
  changed_.notify_all();
  job->sink.on_end(cancelled());
}

void Scheduler::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
}

bool Scheduler::wait_until_idle(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return waiting_.empty() && !running_; });
}

void Scheduler::cancel_all() {
  std::deque<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    if (running_) backend_.set_cancelled(true);
    jobs.swap(waiting_);
  }
  changed_.notify_all();
  for (const Job& job : jobs) job.sink.on_end(cancelled());
}

SchedulerFigures Scheduler::figures() const {
  const std::lock_guard lock(mutex_);
  return {.n_waiting = waiting_.size(), .n_running = running_ ? 1U : 0U};
}

void Scheduler::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return is_ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Job job = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = job.ticket;
    backend_.set_cancelled(false);
    lock.unlock();
    const Stopwatch watch;
    run(job);
    lock.lock();
    seconds_each_ += kNewestShare * (watch.seconds() - seconds_each_);
    running_.reset();
    changed_.notify_all();
  }
}

void Scheduler::run(const Job& job) {
  Outcome outcome;
  try {
    outcome.result = backend_.answer(job.request, job.sink.on_text);
  } catch (const Error& error) {
    outcome.error = error;
  } catch (const std::bad_alloc&) {
    outcome.error = Error(ErrorCode::kOutOfMemory, "there is not enough memory for this answer");
  } catch (const std::exception& error) {
    outcome.error = Error(ErrorCode::kEngine, std::string("unexpected error: ") + error.what());
  }
  job.sink.on_end(outcome);
}

}  // namespace kvevict::serving
