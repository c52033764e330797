// Answers taken in turns, with a backend that makes them of nothing, against a model that anybody can read.
#include "serving/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <thread>

#include "support/fake_answers.h"

namespace kvevict::serving::test {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

/// Submits all while nothing begins, and waits for their ends.
void answer_all(Scheduler& scheduler, FakeBackend& backend, Ends& ends,
                const std::vector<ChatRequest>& requests) {
  backend.hold();
  for (const ChatRequest& request : requests) {
    const std::string name = request.messages.front().content;
    ASSERT_TRUE(scheduler.submit(request, ends.sink_of(name)).ticket) << name;
  }
  backend.wait_until_asked(1);
  backend.open();
  ends.wait_for(requests.size());
}

TEST(SchedulerTest, AnErrorEndsItsRequestAndNoOther) {
  for (const char* where : {"begin", "chunk", "draw", "append", "finish"}) {
    SCOPED_TRACE(where);
    FakeBackend backend;
    Ends ends;
    Scheduler scheduler(backend, {.n_running = 3});
    ChatRequest bad = request_of("bad", 2, 2);
    bad.strategy = where;
    answer_all(scheduler, backend, ends, {request_of("one", 3, 5), bad, request_of("two", 1, 5)});
    EXPECT_EQ(ends.only("bad").error->what(), std::string("it failed"));
    EXPECT_TRUE(ends.is_whole("one"));
    EXPECT_TRUE(ends.is_whole("two"));
    EXPECT_TRUE(scheduler.wait_until_idle(kLong));
  }
}

TEST(SchedulerTest, TheTimeBetweenTwoTokensIsToldForEachTokenButTheFirst) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3});
  answer_all(scheduler, backend, ends,
             {request_of("none", 1, 0), request_of("one", 1, 1), request_of("nine", 3, 9)});
  EXPECT_EQ(ends.n_gaps_of("none"), 0);
  EXPECT_EQ(ends.n_gaps_of("one"), 0);
  EXPECT_EQ(ends.n_gaps_of("nine"), 8);
}

TEST(SchedulerTest, ShortPromptsGoInTogetherBeforeAStepUpToTheTokensOfAChunk) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 4, .n_chunk_tokens = 3});
  answer_all(scheduler, backend, ends,
             {request_of("1", 1, 9), request_of("2", 1, 9), request_of("3", 1, 9), request_of("4", 1, 9)});
  Names before_step;
  for (const Event& event : backend.events()) {
    if (event.kind == Event::kAppend) break;
    if (event.kind == Event::kChunk) before_step.push_back(event.names.front());
  }
  EXPECT_EQ(before_step, (Names{"1", "2", "3"}));
  const Event three{Event::kAppend, {"1", "2", "3"}};
  EXPECT_EQ(std::ranges::count(backend.events(), three), 1) << "the fourth is there before the next step";
}

TEST(SchedulerTest, ALongPromptTakesItsChunkAlone) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 2, .n_chunk_tokens = 1});
  answer_all(scheduler, backend, ends, {request_of("1", 1, 9), request_of("2", 3, 9)});
  std::size_t n_chunks = 0;
  for (const Event& event : backend.events()) {
    n_chunks = event.kind == Event::kChunk ? n_chunks + 1 : 0;
    EXPECT_LE(n_chunks, 1U);
  }
}

TEST(SchedulerTest, AFullQueueSaysWhenToComeAgain) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 1, .n_waiting = 1});
  ASSERT_TRUE(scheduler.submit(request_of("1", 1, kEndless), ends.sink_of("1")).ticket);
  ends.wait_for_texts("1", 1);
  ASSERT_TRUE(scheduler.submit(request_of("2"), ends.sink_of("2")).ticket);
  const Submission refused = scheduler.submit(request_of("3"), ends.sink_of("3"));
  EXPECT_FALSE(refused.ticket);
  EXPECT_GE(refused.seconds_to_wait, 1);
  EXPECT_EQ(scheduler.figures().n_waiting, 1U);
  EXPECT_EQ(scheduler.figures().n_running, 1U);
  EXPECT_FALSE(scheduler.wait_until_idle(0ms));
}

TEST(SchedulerTest, WithoutAQueueAsManyAsRunAreTaken) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 2, .n_waiting = 0});
  for (const char* name : {"1", "2"}) {
    ASSERT_TRUE(scheduler.submit(request_of(name, 1, kEndless), ends.sink_of(name)).ticket);
  }
  EXPECT_FALSE(scheduler.submit(request_of("3"), ends.sink_of("3")).ticket);
  backend.release("1");
  ends.wait_for(1);
  ASSERT_TRUE(scheduler.submit(request_of("3"), ends.sink_of("3")).ticket);
  backend.release("2");
  ends.wait_for(3);
  EXPECT_TRUE(scheduler.wait_until_idle(kLong));
}

TEST(SchedulerTest, ClosedItTakesNothingAndEndsWhatIsThere) {
  FakeBackend backend;
  Ends ends;
  {
    Scheduler scheduler(backend, {.n_running = 2, .n_waiting = 4});
    for (const char* name : {"1", "2", "3"})
      ASSERT_TRUE(scheduler.submit(request_of(name, 1, kEndless), ends.sink_of(name)).ticket);
    ends.wait_for_texts("2", 1);
    scheduler.close();
    EXPECT_FALSE(scheduler.submit(request_of("4"), ends.sink_of("4")).ticket);
  }
  EXPECT_EQ(ends.only("1").result->answer.end, AnswerEnd::kStopped);
  EXPECT_EQ(ends.only("2").result->answer.end, AnswerEnd::kStopped);
  EXPECT_EQ(ends.only("3").error->code(), ErrorCode::kCancelled);
}

TEST(SchedulerTest, AnswersGoOnTogetherAndBetweenTheChunksOfALongPrompt) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3});
  answer_all(scheduler, backend, ends,
             {request_of("a", 1, 40), request_of("b", 1, 40), request_of("long", 20)});
  int n_chunks = 0;
  bool is_behind_chunk = false;  // a chunk of the long prompt, and no step since
  for (const Event& event : backend.events()) {
    if (event == Event{Event::kChunk, {"long"}}) {
      EXPECT_FALSE(is_behind_chunk);
      is_behind_chunk = true;
      n_chunks += 1;
    }
    if (event.kind != Event::kAppend) continue;
    is_behind_chunk = false;
    if (n_chunks > 2 && n_chunks < 20) {
      EXPECT_EQ(event.names, (Names{"a", "b"}));
    }
  }
  EXPECT_EQ(n_chunks, 20);
  const SchedulerFigures figures = scheduler.figures();
  EXPECT_EQ(figures.n_chunks, 22U);
  EXPECT_EQ(figures.n_step_tokens, 81U);
  EXPECT_LT(figures.n_steps, 50U);
}

TEST(SchedulerTest, ShortPromptsGoFirstAndALongOneGoesOn) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 2, .n_waiting = 40});
  std::vector<ChatRequest> requests = {request_of("long", 8)};
  for (int i = 0; i < 30; ++i) requests.push_back(request_of("short " + std::to_string(i), 2));
  answer_all(scheduler, backend, ends, requests);
  const Names chunks = backend.names_of(Event::kChunk);
  int n_between = 0, n_long = 0;
  for (const std::string& name : chunks) {
    if (name == "long") n_long += 1;
    n_between = name == "long" ? 0 : n_between + 1;
    if (n_long < 8) {
      EXPECT_LE(n_between, 3);
    }
  }
  const auto last_long = std::ranges::find(chunks.rbegin(), chunks.rend(), "long");
  const auto last_short = std::ranges::find(chunks.rbegin(), chunks.rend(), "short 1");
  EXPECT_LT(last_long - chunks.rbegin(), last_short - chunks.rbegin());
}

TEST(SchedulerTest, OwnersTakeTurns) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 1, .n_waiting = 20});
  std::vector<ChatRequest> requests;
  for (int i = 0; i < 6; ++i) requests.push_back(request_of("a" + std::to_string(i), 1, 1, "a"));
  for (int i = 0; i < 2; ++i) requests.push_back(request_of("b" + std::to_string(i), 1, 1, "b"));
  requests.push_back(request_of("c0", 1, 1, "c"));
  answer_all(scheduler, backend, ends, requests);
  EXPECT_EQ(backend.names_of(Event::kBegin), (Names{"a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4", "a5"}));
}

TEST(SchedulerTest, AnOwnerMayNotFillTheQueueAlone) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 1, .n_waiting = 4, .n_waiting_each = 2});
  ASSERT_TRUE(scheduler.submit(request_of("a0", 1, kEndless, "a"), ends.sink_of("a0")).ticket);
  ends.wait_for_texts("a0", 1);
  for (const char* name : {"a1", "a2"})
    ASSERT_TRUE(scheduler.submit(request_of(name, 1, 1, "a"), ends.sink_of(name)).ticket);
  EXPECT_FALSE(scheduler.submit(request_of("a3", 1, 1, "a"), ends.sink_of("a3")).ticket);
  EXPECT_TRUE(scheduler.submit(request_of("b0", 1, 1, "b"), ends.sink_of("b0")).ticket);
}

TEST(SchedulerTest, RequestsOfOneConversationWaitForEachOtherAndHoldUpNoOther) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3, .n_waiting = 20});
  answer_all(scheduler, backend, ends,
             {request_of("1", 1, 9, "", "talk"), request_of("2", 1, 9, "", "talk"),
              request_of("3", 1, 9, "", "talk"), request_of("other", 1, 2)});
  EXPECT_EQ(backend.names_of(Event::kBegin), (Names{"1", "other", "2", "3"}));
}

TEST(SchedulerTest, CancellingOneEndsItBeforeTheNextStepAndLeavesTheOthers) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3});
  std::map<std::string, Ticket> tickets;
  for (const char* name : {"1", "2", "3"}) {
    tickets[name] = *scheduler.submit(request_of(name, 1, kEndless), ends.sink_of(name)).ticket;
    ends.wait_for_texts(name, 1);
  }
  scheduler.cancel(tickets["2"]);
  scheduler.cancel(tickets["2"]);  // once is enough
  ends.wait_for(1);
  EXPECT_EQ(ends.only("2").result->answer.end, AnswerEnd::kStopped);
  backend.release("1");
  backend.release("3");
  ends.wait_for(3);
  EXPECT_TRUE(ends.is_whole("1"));
  EXPECT_TRUE(ends.is_whole("3"));
}

/// What the backend was asked to do must be what a list of answers would be asked: what has begun and has no
/// prompt left goes on in each step, all of it; between two steps at most one request begins and one chunk
/// goes in; conversations and limits are kept.
class Replay {
 public:
  Replay(std::size_t n_running, std::map<std::string, ChatRequest> requests)
      : n_running_(n_running), requests_(std::move(requests)) {}

  void take(const Event& event) {
    const std::string name = event.names.front();
    switch (event.kind) {
      case Event::kBegin:
        count(n_begun_);
        begin(name);
        break;
      case Event::kBusy:
        EXPECT_TRUE(talks_.contains(talk_of(name))) << name;
        break;
      case Event::kChunk:
        count(n_chunks_);
        EXPECT_GT(left_.at(name), 0U);
        left_.at(name) -= 1;
        break;
      case Event::kBranch:
        FAIL() << "each has a prompt of its own";
      case Event::kDraw:
        EXPECT_EQ(left_.at(name), 0U);
        n_begun_ = n_chunks_ = 0;
        break;
      case Event::kAppend:
        step(event.names);
        break;
      case Event::kFinish:
        break;
      case Event::kGone:
        EXPECT_EQ(left_.erase(name), 1U);
        talks_.erase(talk_of(name));
        break;
    }
  }

  [[nodiscard]] bool is_empty() const { return left_.empty(); }

 private:
  [[nodiscard]] std::string talk_of(const std::string& name) const {
    return requests_.at(name).owner + "/" + requests_.at(name).conversation;
  }
  void begin(const std::string& name) {
    EXPECT_TRUE(talks_.insert(talk_of(name)).second) << name;
    const int number = std::stoi(name.substr(name.find(' ')));
    const auto [newest, is_first] = newest_.emplace(talk_of(name), number);
    if (!is_first) {
      EXPECT_GT(number, newest->second) << name;
    }
    newest->second = number;
    left_[name] = requests_.at(name).messages.size() - 1;
    EXPECT_LE(left_.size(), n_running_);
  }
  void step(const Names& names) {
    std::set<std::string> wanted;
    for (const auto& [name, n_left] : left_)
      if (n_left == 0) wanted.insert(name);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), wanted);
  }
  /// Nobody waits if no answer goes on.
  void count(int& n) {
    if (std::ranges::none_of(left_, [](const auto& one) { return one.second == 0; })) return;
    n += 1;
    EXPECT_EQ(n, 1);
  }

  std::size_t n_running_;
  std::map<std::string, ChatRequest> requests_;
  std::map<std::string, std::size_t> left_;  // chunks of those that run
  std::set<std::string> talks_;
  std::map<std::string, int> newest_;
  int n_begun_ = 0, n_chunks_ = 0;  // since the last draw, while an answer goes on
};

TEST(SchedulerTest, DoesWhatAListOfAnswersDoes) {
  constexpr int kClients = 6, kRequests = 120;
  for (const SchedulerLimits& limits : {SchedulerLimits{1, 0}, SchedulerLimits{1, 5}, SchedulerLimits{3, 2},
                                        SchedulerLimits{4, 30}, SchedulerLimits{8, 30, 9}}) {
    FakeBackend backend;
    Ends ends;
    std::mutex mutex;
    std::map<std::string, ChatRequest> requests;  // that were taken
    std::set<std::string> cancelled;
    {
      Scheduler scheduler(backend, limits);
      std::vector<std::thread> clients;
      for (int client = 0; client < kClients; ++client) {
        clients.emplace_back([&, client] {
          std::mt19937 random(static_cast<unsigned>(client));
          for (int i = 0; i < kRequests; ++i) {
            const std::string name = std::to_string(client) + " " + std::to_string(i);
            const ChatRequest request =
                request_of(name, random() % 4, random() % 6, std::to_string(client % 3),
                           std::to_string(client) + "-" + std::to_string(random() % 2));
            const Submission submission = scheduler.submit(request, ends.sink_of(name));
            const SchedulerFigures figures = scheduler.figures();
            EXPECT_LE(figures.n_running, limits.n_running);
            EXPECT_LE(figures.n_running + figures.n_waiting, limits.n_running + limits.n_waiting);
            if (!submission.ticket) {
              std::this_thread::yield();
              continue;
            }
            const bool cancels = random() % 4 == 0;
            if (cancels) scheduler.cancel(*submission.ticket);
            const std::lock_guard lock(mutex);
            requests[name] = request;
            if (cancels) cancelled.insert(name);
          }
        });
      }
      for (std::thread& client : clients) client.join();
      EXPECT_TRUE(scheduler.wait_until_idle(kLong));
      EXPECT_EQ(scheduler.figures().n_waiting, 0U);
    }
    for (const auto& [name, request] : requests) {
      ASSERT_EQ(ends.n_ends_of(name), 1) << name;
      if (!cancelled.contains(name)) {
        EXPECT_EQ(ends.only(name).result->answer.n_made, request.form.max_new_tokens) << name;
      }
    }
    Replay replay(limits.n_running, requests);
    for (const Event& event : backend.events()) replay.take(event);
    EXPECT_TRUE(replay.is_empty());
  }
}

}  // namespace
}  // namespace kvevict::serving::test
