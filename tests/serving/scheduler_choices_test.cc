// Several answers to one prompt, with a backend that makes them of nothing.
#include <gtest/gtest.h>

#include "serving/scheduler.h"
#include "support/fake_answers.h"

namespace kvevict::serving::test {
namespace {

using Names = std::vector<std::string>;

/// Answers to one prompt of three chunks; each names its conversation, and where it fails.
std::vector<AnswerJob> choices_of(Ends& ends, const std::vector<std::pair<std::string, std::string>>& names,
                                  std::int64_t n_tokens = 4) {
  std::vector<AnswerJob> jobs;
  for (const auto& [name, strategy] : names) {
    jobs.push_back({.request = request_of(name, 3, n_tokens), .sink = ends.sink_of(name)});
    jobs.back().request.strategy = strategy;
  }
  return jobs;
}

TEST(SchedulerChoicesTest, AnswersToOnePromptGoOnTogetherFromItAndThoseThatAreLeftBehindThem) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3, .n_waiting = 0});
  ASSERT_TRUE(
      scheduler.submit(choices_of(ends, {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}})).ticket);
  ends.wait_for(5);
  EXPECT_EQ(backend.names_of(Event::kBegin), (Names{"a", "d"}));
  EXPECT_EQ(backend.names_of(Event::kBranch), (Names{"a", "b", "a", "c", "d", "e"}));
  EXPECT_EQ(backend.names_of(Event::kChunk), (Names{"a", "a", "a", "d", "d", "d"}));
  for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_TRUE(ends.is_whole(name)) << name;
  EXPECT_EQ(scheduler.figures().n_steps, 8U) << "three, and then two, in each";
}

TEST(SchedulerChoicesTest, AnAnswerToAPromptThatCannotGoOnWithAnotherBeginsBehindIt) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3});
  ASSERT_TRUE(scheduler.submit(choices_of(ends, {{"a", ""}, {"b", "own"}, {"c", "own"}})).ticket);
  ends.wait_for(3);
  EXPECT_EQ(backend.names_of(Event::kBegin), (Names{"a", "b", "c"}));
  EXPECT_EQ(scheduler.figures().n_steps, 12U);
}

TEST(SchedulerChoicesTest, AnErrorOfOneAnswerToAPromptEndsNoOther) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 3});
  ASSERT_TRUE(scheduler.submit(choices_of(ends, {{"a", "draw"}, {"b", "branch"}, {"c", ""}})).ticket);
  ASSERT_TRUE(scheduler.submit(choices_of(ends, {{"d", "chunk"}, {"e", ""}})).ticket);
  ends.wait_for(5);
  for (const char* name : {"a", "b", "d"}) EXPECT_TRUE(ends.only(name).error) << name;
  for (const char* name : {"c", "e"}) EXPECT_TRUE(ends.is_whole(name)) << name;
}

TEST(SchedulerChoicesTest, AnswersToOnePromptAreCancelledOneByOne) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 2, .n_waiting = 0});
  const auto jobs = choices_of(ends, {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}, kEndless);
  const Ticket first = scheduler.submit(jobs).ticket.value();
  ends.wait_for_texts("b", 1);
  EXPECT_EQ(scheduler.figures().n_waiting, 0U) << "their request has begun";
  scheduler.cancel(first + 2);
  EXPECT_EQ(ends.only("c").error->code(), ErrorCode::kCancelled);
  for (const Ticket ticket : {first, first + 1}) scheduler.cancel(ticket);
  ends.wait_for_texts("d", 1);
  scheduler.cancel(first + 3);
  ends.wait_for(4);
  for (const char* name : {"a", "b", "d"})
    EXPECT_EQ(ends.only(name).result->answer.end, AnswerEnd::kStopped) << name;
}

TEST(SchedulerChoicesTest, AnswersToOnePromptTakeOnePlaceOfTheQueue) {
  FakeBackend backend;
  Ends ends;
  Scheduler scheduler(backend, {.n_running = 1, .n_waiting = 2});
  ASSERT_TRUE(scheduler.submit(request_of("1", 1, kEndless), ends.sink_of("1")).ticket);
  ends.wait_for_texts("1", 1);
  ASSERT_TRUE(scheduler.submit(choices_of(ends, {{"a", ""}, {"b", ""}, {"c", ""}})).ticket);
  ASSERT_TRUE(scheduler.submit(request_of("2"), ends.sink_of("2")).ticket);
  EXPECT_FALSE(scheduler.submit(request_of("3"), ends.sink_of("3")).ticket);
  EXPECT_EQ(scheduler.figures().n_waiting, 2U);
}

}  // namespace
}  // namespace kvevict::serving::test
