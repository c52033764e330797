#include "serving/scheduler.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace kvevict::serving {
namespace {

constexpr double kNewestShare = 0.2;       // of the newest answer in the mean
constexpr double kLongestWait = 600;       // seconds
constexpr std::uint64_t kOldestEvery = 4;  // chunks

Outcome cancelled() {
  return {.error = Error(ErrorCode::kCancelled, "the request was cancelled before its answer began")};
}

}  // namespace

Scheduler::Scheduler(AnswerBackend& backend, SchedulerLimits limits)
    : backend_(backend), limits_(limits), thread_([this] { work(); }) {}

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

/// Requests that could begin at once take no room from those that wait.
bool Scheduler::has_room_for(const std::string& owner) const {
  const std::size_t n_free = limits_.n_running - begun_.size();
  if (count_waiting() >= limits_.n_waiting + n_free) return false;
  if (limits_.n_waiting_each == 0) return true;
  const auto n_own = std::ranges::count_if(waiting_, [&](const auto& one) {
    return one.first == one.second.first && one.second.request.owner == owner;
  });
  return static_cast<std::size_t>(n_own) < limits_.n_waiting_each + n_free;
}

/// Requests of which nothing has begun; of several answers the first one stands for all.
std::size_t Scheduler::count_waiting() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(waiting_, [](const auto& one) { return one.first == one.second.first; }));
}

Submission Scheduler::submit(ChatRequest request, AnswerSink sink) {
  std::vector<AnswerJob> answers;
  answers.push_back({.request = std::move(request), .sink = std::move(sink)});
  return submit(std::move(answers));
}

Submission Scheduler::submit(std::vector<AnswerJob> answers) {
  Submission submission;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_ || !has_room_for(answers.front().request.owner)) {
      const double n_before = static_cast<double>(waiting_.size() + 1);
      const double seconds = std::ceil(seconds_each_ * n_before / static_cast<double>(limits_.n_running));
      submission.seconds_to_wait = static_cast<std::int64_t>(std::clamp(seconds, 1.0, kLongestWait));
      return submission;
    }
    const Ticket first = n_submitted_ + 1;
    submission.ticket = first;
    for (AnswerJob& one : answers)
      waiting_.emplace(++n_submitted_, Job{std::move(one.request), std::move(one.sink), first});
    may_begin_ = true;
  }
  changed_.notify_all();
  return submission;
}

void Scheduler::cancel(Ticket ticket) {
  Waiting::node_type job;
  {
    const std::lock_guard lock(mutex_);
    if (begun_.contains(ticket)) cancelled_.insert(ticket);
    job = waiting_.extract(ticket);
    if (job.empty()) return;
    n_ending_ += 1;
  }
  call_end(job.mapped().sink, cancelled());
}

void Scheduler::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
}

bool Scheduler::wait_until_idle(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return is_idle(); });
}

void Scheduler::cancel_all() {
  Waiting jobs;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = begun_;
    jobs.swap(waiting_);
    n_ending_ += jobs.size();
  }
  for (const auto& [ticket, job] : jobs) call_end(job.sink, cancelled());
}

SchedulerFigures Scheduler::figures() const {
  const std::lock_guard lock(mutex_);
  SchedulerFigures figures = counts_;
  figures.n_waiting = count_waiting();
  figures.n_running = begun_.size();
  return figures;
}

/// Tells an end that `n_ending_` counts.
void Scheduler::call_end(const AnswerSink& sink, const Outcome& outcome) {
  sink.on_end(outcome);
  {
    const std::lock_guard lock(mutex_);
    n_ending_ -= 1;
  }
  changed_.notify_all();
}

void Scheduler::work() {
  while (wait_for_work()) {
    end_cancelled();
    take_in_prompts();
    step();
  }
}

/// Returns whether there is some.
bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_ending_ || !begun_.empty() || (may_begin_ && !waiting_.empty()); });
  return !begun_.empty() || !waiting_.empty();
}

void Scheduler::end_cancelled() {
  std::set<Ticket> tickets;
  {
    const std::lock_guard lock(mutex_);
    tickets = std::exchange(cancelled_, {});
  }
  for (const Ticket ticket : tickets) {
    const auto is_it = [&](const Running& one) { return one.ticket == ticket; };
    if (std::ranges::any_of(running_, is_it)) end(ticket, std::nullopt);
  }
}

/// The requests that wait, in the order in which they may begin: of several answers to one prompt the next
/// one, if none of them runs. REQUIRES: the caller holds the lock.
std::vector<Ticket> Scheduler::in_turn() const {
  std::vector<std::tuple<std::uint64_t, Ticket, Ticket>> ranks;  // of the owner, twice; of the request
  std::map<std::string_view, Ticket> oldest;
  std::set<Ticket> before;  // the same prompt is another answer's, which runs or comes first
  for (const Running& one : running_) before.insert(one.first);
  for (const auto& [ticket, job] : waiting_) {
    if (!before.insert(job.first).second) continue;
    const std::string& owner = job.request.owner;
    const auto last = last_turn_.find(owner);
    const Ticket first = oldest.emplace(owner, ticket).first->second;
    ranks.emplace_back(last == last_turn_.end() ? 0 : last->second, first, ticket);
  }
  std::ranges::sort(ranks);
  std::vector<Ticket> tickets;
  for (const auto& rank : ranks) tickets.push_back(std::get<2>(rank));
  return tickets;
}

void Scheduler::begin_next() {
  std::vector<Ticket> tickets;
  {
    const std::lock_guard lock(mutex_);
    if (!may_begin_ || begun_.size() >= limits_.n_running) return;
    tickets = in_turn();
    may_begin_ = false;  // unless one comes meanwhile
  }
  for (const Ticket ticket : tickets) {
    const auto make = [&](const Job& job) { return backend_.begin(job.request, job.sink.on_text); };
    if (!begin(ticket, make)) continue;
    const std::lock_guard lock(mutex_);
    may_begin_ = true;
    return;
  }
}

/// Returns whether the request is no longer one that waits.
bool Scheduler::begin(Ticket ticket, const Make& make) {
  Waiting::node_type node;
  {
    const std::lock_guard lock(mutex_);
    node = waiting_.extract(ticket);
    if (node.empty()) return true;
    begun_.insert(ticket);
  }
  Job& job = node.mapped();
  std::unique_ptr<RunningAnswer> answer;
  std::optional<Error> error = error_of([&] { answer = make(job); });
  if (!answer && !error) {
    const std::lock_guard lock(mutex_);
    if (!cancelled_.contains(ticket)) {
      begun_.erase(ticket);
      waiting_.insert(std::move(node));
      return false;
    }
    error = cancelled().error;
  }
  {
    const std::lock_guard lock(mutex_);
    last_turn_[job.request.owner] = ++n_turns_;
  }
  running_.push_back(
      {.ticket = ticket, .first = job.first, .sink = std::move(job.sink), .answer = std::move(answer)});
  if (error) end(ticket, std::move(error));
  return true;
}

/// Lets other answers go on with each that has its prompt now.
void Scheduler::begin_others() {
  std::vector<Ticket> ready;
  for (const Running& one : running_) {
    if (!one.is_drawing && one.answer->n_prompt_left() == 0) ready.push_back(one.ticket);
  }
  for (const Ticket ticket : ready) {
    while (begin_another(ticket)) {
    }
    const Ticket first = running(ticket).first;
    for (Running& one : running_) one.is_drawing = one.is_drawing || one.first == first;
  }
}

/// Returns whether one more may be tried.
bool Scheduler::begin_another(Ticket ticket) {
  RunningAnswer& first = *running(ticket).answer;
  std::optional<Ticket> next;
  {
    const std::lock_guard lock(mutex_);
    if (begun_.size() >= limits_.n_running) return false;
    const auto is_next = [&](const auto& one) { return one.second.first == running(ticket).first; };
    const auto found = std::ranges::find_if(waiting_, is_next);
    if (found == waiting_.end()) return false;
    next = found->first;
  }
  return begin(*next, [&](const Job& job) { return backend_.branch(first, job.request, job.sink.on_text); });
}

Scheduler::Running& Scheduler::running(Ticket ticket) {
  return *std::ranges::find(running_, ticket, &Running::ticket);
}

/// Short prompts share what a chunk of a long one takes: a step between each two of them would be one of few
/// answers.
void Scheduler::take_in_prompts() {
  std::int64_t n_room = limits_.n_chunk_tokens;
  for (bool is_first = true; is_first || n_room > 0; is_first = false) {
    begin_next();
    const std::int64_t n_taken = take_in_next(is_first ? std::nullopt : std::optional(n_room));
    begin_others();
    if (n_taken == 0) return;
    n_room -= n_taken;
  }
}

/// One chunk; returns its tokens. Nothing is taken in if the next prompt has more than `n_most` left.
std::int64_t Scheduler::take_in_next(std::optional<std::int64_t> n_most) {
  Running* next = nullptr;
  for (Running& one : running_) {
    const std::int64_t n_left = one.answer->n_prompt_left();
    if (n_left == 0) continue;
    if (next == nullptr || n_left < next->answer->n_prompt_left()) next = &one;
    if (counts_.n_chunks % kOldestEvery == kOldestEvery - 1) break;
  }
  if (next == nullptr) return 0;
  const std::int64_t n_before = next->answer->n_prompt_left();
  if (n_most && n_before > *n_most) return 0;
  {
    const std::lock_guard lock(mutex_);
    counts_.n_chunks += 1;
  }
  auto error = error_of([&] { next->answer->take_in(); });
  const std::int64_t n_taken = n_before - next->answer->n_prompt_left();
  if (error) end(next->ticket, std::move(error));
  return n_taken;
}

/// Returns whether the answer goes on.
bool Scheduler::draw(Running& one) {
  const std::int64_t n_before = one.answer->n_drawn();
  const bool goes_on = one.answer->draw();
  if (one.answer->n_drawn() == n_before) return goes_on;
  if (n_before > 0 && one.sink.on_gap) one.sink.on_gap(one.since_token.seconds());
  one.since_token.restart();
  return goes_on;
}

void Scheduler::step() {
  std::vector<Ticket> drawing, going_on;
  for (const Running& one : running_) {
    if (one.answer->n_prompt_left() == 0) drawing.push_back(one.ticket);
  }
  for (const Ticket ticket : drawing) {
    bool goes_on = false;
    std::optional<Error> error = error_of([&] { goes_on = draw(running(ticket)); });
    if (goes_on) {
      going_on.push_back(ticket);
    } else {
      end(ticket, std::move(error));
    }
  }
  if (!going_on.empty()) append(going_on);
}

void Scheduler::append(std::span<const Ticket> tickets) {
  std::vector<RunningAnswer*> answers;
  for (const Ticket ticket : tickets) answers.push_back(running(ticket).answer.get());
  std::vector<std::optional<Error>> errors;
  const auto failure = error_of([&] { errors = backend_.append(answers); });
  if (failure) errors.assign(tickets.size(), failure);
  {
    const std::lock_guard lock(mutex_);
    counts_.n_steps += 1;
    counts_.n_step_tokens += tickets.size();
  }
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    if (errors[i]) end(tickets[i], std::move(errors[i]));
  }
}

/// Ends an answer that runs: by an error, or as it is.
void Scheduler::end(Ticket ticket, std::optional<Error> error) {
  Outcome outcome{.error = std::move(error)};
  const auto found = std::ranges::find(running_, ticket, &Running::ticket);
  Running ended = std::move(*found);
  running_.erase(found);
  if (!outcome.error) outcome.error = error_of([&] { outcome.result = ended.answer->finish(); });
  ended.answer.reset();  // its conversation is free before anybody hears of it
  {
    const std::lock_guard lock(mutex_);
    begun_.erase(ticket);
    cancelled_.erase(ticket);
    n_ending_ += 1;
    may_begin_ = true;
    seconds_each_ += kNewestShare * (ended.watch.seconds() - seconds_each_);
  }
  call_end(ended.sink, outcome);
}

}  // namespace kvevict::serving
