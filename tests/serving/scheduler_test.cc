// The queue in front of a backend, against a model that anybody can read.
#include "serving/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace kvevict::serving {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 60s;

/// Answers when the test says so, one token before it.
class GatedBackend final : public AnswerBackend {
 public:
  ChatResult answer(const ChatRequest& request,
                    const std::function<void(std::string_view)>& on_text) override {
    std::unique_lock lock(mutex_);
    started_.push_back(request.conversation);
    n_inside_ += 1;
    EXPECT_EQ(n_inside_, 1);
    changed_.notify_all();
    on_text("token");
    EXPECT_TRUE(changed_.wait_for(lock, kLong, [&] { return n_permits_ > 0 || is_cancelled_; }));
    n_inside_ -= 1;
    ChatResult result;
    result.answer.end = is_cancelled_ ? AnswerEnd::kStopped : AnswerEnd::kByModel;
    if (!is_cancelled_) n_permits_ -= 1;
    if (request.strategy == "fails") throw Error(ErrorCode::kEngine, "it failed");
    result.answer.text = request.conversation;
    return result;
  }

  void set_cancelled(bool is_cancelled) noexcept override {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = is_cancelled;
    changed_.notify_all();
  }

  void permit_one() {
    const std::lock_guard lock(mutex_);
    n_permits_ += 1;
    changed_.notify_all();
  }

  void wait_until_started(std::size_t n) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kLong, [&] { return started_.size() >= n; }));
  }

  std::vector<std::string> started() {
    const std::lock_guard lock(mutex_);
    return started_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> started_;
  int n_inside_ = 0;
  int n_permits_ = 0;
  bool is_cancelled_ = false;
};

/// What came of all requests, by their names.
class Ends {
 public:
  AnswerSink sink_of(const std::string& name) {
    return {.on_text = [](std::string_view) {},
            .on_end =
                [this, name](const Outcome& outcome) {
                  EXPECT_NE(outcome.result.has_value(), outcome.error.has_value());
                  const std::lock_guard lock(mutex_);
                  order_.push_back(name);
                  outcomes_[name].push_back(outcome);
                  changed_.notify_all();
                }};
  }
  void wait_for(std::size_t n) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kLong, [&] { return order_.size() >= n; }));
  }
  Outcome only(const std::string& name) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(outcomes_[name].size(), 1U) << name;
    return outcomes_[name].empty() ? Outcome{} : outcomes_[name].front();
  }
  std::vector<std::string> order() {
    const std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> order_;
  std::map<std::string, std::vector<Outcome>> outcomes_;
};

TEST(SchedulerTest, AnErrorEndsItsRequestAndNoOther) {
  GatedBackend backend;
  Ends ends;
  Scheduler scheduler(backend, 4);
  ASSERT_TRUE(scheduler.submit({.conversation = "bad", .strategy = "fails"}, ends.sink_of("bad")).ticket);
  ASSERT_TRUE(scheduler.submit({.conversation = "good"}, ends.sink_of("good")).ticket);
  backend.permit_one();
  backend.permit_one();
  ends.wait_for(2);
  EXPECT_EQ(ends.only("bad").error->code(), ErrorCode::kEngine);
  EXPECT_EQ(ends.only("good").result->answer.text, "good");
}

TEST(SchedulerTest, AFullQueueSaysWhenToComeAgain) {
  GatedBackend backend;
  Ends ends;
  Scheduler scheduler(backend, 1);
  ASSERT_TRUE(scheduler.submit({.conversation = "1"}, ends.sink_of("1")).ticket);
  backend.wait_until_started(1);
  ASSERT_TRUE(scheduler.submit({.conversation = "2"}, ends.sink_of("2")).ticket);
  const Submission refused = scheduler.submit({.conversation = "3"}, ends.sink_of("3"));
  EXPECT_FALSE(refused.ticket);
  EXPECT_GE(refused.seconds_to_wait, 1);
  EXPECT_EQ(scheduler.figures().n_waiting, 1U);
  EXPECT_EQ(scheduler.figures().n_running, 1U);
  EXPECT_FALSE(scheduler.wait_until_idle(0ms));
}

TEST(SchedulerTest, WithoutAQueueAnIdleOneStillAnswers) {
  GatedBackend backend;
  Ends ends;
  Scheduler scheduler(backend, 0);
  backend.permit_one();
  ASSERT_TRUE(scheduler.submit({.conversation = "1"}, ends.sink_of("1")).ticket);
  ends.wait_for(1);
  EXPECT_TRUE(scheduler.wait_until_idle(kLong));
}

TEST(SchedulerTest, ClosedItTakesNothingAndEndsWhatIsThere) {
  GatedBackend backend;
  Ends ends;
  {
    Scheduler scheduler(backend, 4);
    for (const char* name : {"1", "2", "3"})
      ASSERT_TRUE(scheduler.submit({.conversation = name}, ends.sink_of(name)).ticket);
    backend.wait_until_started(1);
    scheduler.close();
    EXPECT_FALSE(scheduler.submit({.conversation = "4"}, ends.sink_of("4")).ticket);
  }
  EXPECT_EQ(ends.only("1").result->answer.end, AnswerEnd::kStopped);
  EXPECT_EQ(ends.only("2").error->code(), ErrorCode::kCancelled);
  EXPECT_EQ(ends.only("3").error->code(), ErrorCode::kCancelled);
  EXPECT_EQ(ends.order().size(), 3U);
}

/// Requests that wait are a list, the first of them is answered: nothing else may ever be seen.
TEST(SchedulerTest, DoesWhatAListDoes) {
  std::mt19937 random(11);
  for (std::size_t n_waiting = 0; n_waiting < 4; ++n_waiting) {
    GatedBackend backend;
    Ends ends;
    Scheduler scheduler(backend, n_waiting);
    std::vector<std::pair<std::string, Ticket>> there;  // the first one is being answered
    std::vector<std::string> begun;
    std::map<std::string, bool> is_cancelled;
    std::size_t n_ended = 0;
    const auto begin_first = [&] {
      if (there.empty()) return;
      begun.push_back(there.front().first);
      backend.wait_until_started(begun.size());
    };
    for (int step = 0; step < 400; ++step) {
      const unsigned action = static_cast<unsigned>(random()) % 10;
      if (action < 5) {
        const std::string name = std::to_string(step);
        const Submission submission = scheduler.submit({.conversation = name}, ends.sink_of(name));
        ASSERT_EQ(submission.ticket.has_value(), there.empty() || there.size() <= n_waiting);
        if (!submission.ticket) continue;
        there.emplace_back(name, *submission.ticket);
        if (there.size() == 1) begin_first();
      } else if (!there.empty()) {
        const std::size_t i = action < 8 ? 0 : random() % there.size();
        const bool cancels = action >= 7;
        is_cancelled[there[i].first] = cancels;
        if (cancels) {
          scheduler.cancel(there[i].second);
          scheduler.cancel(there[i].second);  // once is enough
        } else {
          backend.permit_one();
        }
        there.erase(there.begin() + static_cast<std::ptrdiff_t>(i));
        ends.wait_for(++n_ended);
        if (there.empty()) {
          ASSERT_TRUE(scheduler.wait_until_idle(kLong));
        }
        if (i == 0) begin_first();
      }
      ASSERT_LE(scheduler.figures().n_waiting, n_waiting);
    }
    EXPECT_EQ(backend.started(), begun);
    for (const auto& [name, was_cancelled] : is_cancelled) {
      const Outcome outcome = ends.only(name);
      const bool is_stopped = outcome.error ? outcome.error->code() == ErrorCode::kCancelled
                                            : outcome.result->answer.end == AnswerEnd::kStopped;
      EXPECT_EQ(is_stopped, was_cancelled) << name;
    }
  }
}

/// Makes tokens as fast as it can.
class BusyBackend final : public AnswerBackend {
 public:
  ChatResult answer(const ChatRequest& request,
                    const std::function<void(std::string_view)>& on_text) override {
    EXPECT_FALSE(is_inside_.exchange(true));
    answered_.push_back(request.conversation + " " + request.strategy);
    for (int token = 0; token < 20 && !is_cancelled_; ++token) on_text("x");
    is_inside_ = false;
    return {};
  }
  void set_cancelled(bool is_cancelled) noexcept override { is_cancelled_ = is_cancelled; }

  std::vector<std::string> answered_;  // of one thread at a time

 private:
  std::atomic<bool> is_inside_ = false;
  std::atomic<bool> is_cancelled_ = false;
};

TEST(SchedulerTest, EachRequestOfManyThreadsEndsOnceAndInItsOrder) {
  BusyBackend backend;
  constexpr int kClients = 6, kRequests = 300;
  std::array<std::array<std::atomic<int>, kRequests>, kClients> n_ends{}, n_late{};
  std::array<std::array<bool, kRequests>, kClients> is_accepted{};
  {
    Scheduler scheduler(backend, 8);
    std::vector<std::thread> clients;
    for (std::size_t client = 0; client < kClients; ++client) {
      clients.emplace_back([&, client] {
        std::mt19937 random(static_cast<unsigned>(client));
        for (std::size_t i = 0; i < kRequests; ++i) {
          auto& ends = n_ends[client][i];
          auto& late = n_late[client][i];
          const Submission submission =
              scheduler.submit({.conversation = std::to_string(client), .strategy = std::to_string(i)},
                               {.on_text = [&](std::string_view) { late += ends > 0 ? 1 : 0; },
                                .on_end = [&](const Outcome&) { ends += 1; }});
          is_accepted[client][i] = submission.ticket.has_value();
          if (submission.ticket && random() % 4 == 0) scheduler.cancel(*submission.ticket);
          EXPECT_LE(scheduler.figures().n_waiting, 8U);
          if (!submission.ticket) std::this_thread::yield();
        }
      });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_TRUE(scheduler.wait_until_idle(kLong));
  }
  for (std::size_t client = 0; client < kClients; ++client) {
    for (std::size_t i = 0; i < kRequests; ++i) {
      EXPECT_EQ(n_ends[client][i], is_accepted[client][i] ? 1 : 0);
      EXPECT_EQ(n_late[client][i], 0);
    }
  }
  std::map<std::string, int> newest;
  for (const std::string& one : backend.answered_) {
    const std::size_t space = one.find(' ');
    const int number = std::stoi(one.substr(space));
    const auto [at, is_first] = newest.emplace(one.substr(0, space), number);
    if (!is_first) {
      EXPECT_GT(number, at->second);
    }
    at->second = number;
  }
}

}  // namespace
}  // namespace kvevict::serving
