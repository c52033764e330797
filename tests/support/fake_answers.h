#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "serving/scheduler.h"

namespace kvevict::serving::test {

constexpr std::chrono::seconds kLong{60};
constexpr std::int64_t kEndless = 1 << 30;

/// Something that the backend was asked to do, in the order in which it was.
struct Event {
  enum Kind { kBegin, kBusy, kChunk, kBranch, kDraw, kAppend, kFinish, kGone };
  Kind kind = kBegin;
  std::vector<std::string> names{};  ///< Of the requests: one, but for kAppend.
  friend bool operator==(const Event&, const Event&) = default;
};

/// A request that `FakeBackend` takes: its name, chunks of its prompt, and tokens of its answer.
inline ChatRequest request_of(const std::string& name, std::size_t n_chunks = 1, std::int64_t n_tokens = 1,
                              const std::string& owner = "", const std::string& conversation = "") {
  ChatRequest request{.owner = owner,
                      .conversation = conversation.empty() ? name : conversation,
                      .messages = {{"name", name}}};
  request.messages.resize(1 + n_chunks);
  request.form.max_new_tokens = n_tokens;
  return request;
}

/// Makes answers of nothing, and writes down what it is asked to do. `ChatRequest::strategy` says where an
/// answer fails: "begin", "chunk", "draw", "append", "finish".
class FakeBackend final : public AnswerBackend {
 public:
  std::unique_ptr<RunningAnswer> begin(const ChatRequest& request, OnText on_text) override {
    std::unique_lock lock(mutex_);
    const std::string name = request.messages.front().content;
    n_asked_ += 1;
    changed_.notify_all();
    EXPECT_TRUE(changed_.wait_for(lock, kLong, [&] { return !is_held_; }));
    const std::string talk = request.owner + "/" + request.conversation;
    if (busy_.contains(talk)) {
      events_.push_back({Event::kBusy, {name}});
      return nullptr;
    }
    events_.push_back({Event::kBegin, {name}});
    if (request.strategy == "begin") throw Error(ErrorCode::kInvalidArgument, "it failed");
    busy_.insert(talk);
    return std::make_unique<Answer>(*this, request, std::move(on_text));
  }

  /// A strategy of "branch" fails; of "own" an answer must begin by itself.
  std::unique_ptr<RunningAnswer> branch(RunningAnswer& first, const ChatRequest& request,
                                        OnText on_text) override {
    EXPECT_EQ(first.n_prompt_left(), 0);
    const std::string name = request.messages.front().content;
    if (request.strategy == "own") return nullptr;
    note({Event::kBranch, {static_cast<const Answer&>(first).name(), name}});
    if (request.strategy == "branch") throw Error(ErrorCode::kEngine, "it failed");
    ChatRequest whole = request;
    whole.messages.resize(1);
    return std::make_unique<Answer>(*this, whole, std::move(on_text));
  }

  std::vector<std::optional<Error>> append(std::span<RunningAnswer* const> answers) override {
    std::vector<std::optional<Error>> errors(answers.size());
    Event event{Event::kAppend};
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const auto& answer = static_cast<const Answer&>(*answers[i]);
      event.names.push_back(answer.name());
      if (answer.fails_at("append")) errors[i] = Error(ErrorCode::kEngine, "it failed");
    }
    note(std::move(event));
    return errors;
  }

  /// No request begins until `open`.
  void hold() {
    const std::lock_guard lock(mutex_);
    is_held_ = true;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    is_held_ = false;
    changed_.notify_all();
  }
  /// That an answer that was made endless ends with its next token.
  void release(const std::string& name) {
    const std::lock_guard lock(mutex_);
    released_.insert(name);
  }
  void wait_until_asked(int n) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kLong, [&] { return n_asked_ >= n; }));
  }
  std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  /// Of one kind, in their order.
  std::vector<std::string> names_of(Event::Kind kind) {
    std::vector<std::string> names;
    for (const Event& event : events())
      if (event.kind == kind) names.insert(names.end(), event.names.begin(), event.names.end());
    return names;
  }

 private:
  class Answer final : public RunningAnswer {
   public:
    Answer(FakeBackend& backend, const ChatRequest& request, OnText on_text)
        : backend_(backend),
          request_(request),
          on_text_(std::move(on_text)),
          n_left_(static_cast<std::int64_t>(request.messages.size()) - 1) {}
    ~Answer() override {
      const std::lock_guard lock(backend_.mutex_);
      backend_.events_.push_back({Event::kGone, {name()}});
      backend_.busy_.erase(request_.owner + "/" + request_.conversation);
    }
    [[nodiscard]] const std::string& name() const { return request_.messages.front().content; }
    [[nodiscard]] bool fails_at(const char* where) const { return request_.strategy == where; }

    [[nodiscard]] std::int64_t n_prompt_left() const override { return n_left_; }
    void take_in() override {
      EXPECT_GT(n_left_, 0);
      backend_.note({Event::kChunk, {name()}});
      fail_at("chunk");
      n_left_ -= 1;
    }
    [[nodiscard]] bool draw() override {
      EXPECT_EQ(n_left_, 0);
      backend_.note({Event::kDraw, {name()}});
      fail_at("draw");
      if (n_made_ == request_.form.max_new_tokens || backend_.is_released(name())) {
        is_whole_ = true;
        return false;
      }
      n_made_ += 1;
      on_text_("x");
      return true;
    }
    [[nodiscard]] std::int64_t n_drawn() const override { return n_made_; }
    [[nodiscard]] ChatResult finish() override {
      backend_.note({Event::kFinish, {name()}});
      fail_at("finish");
      ChatResult result;
      result.answer.end = is_whole_ ? AnswerEnd::kByModel : AnswerEnd::kStopped;
      result.answer.text = name();
      result.answer.n_made = n_made_;
      return result;
    }

   private:
    void fail_at(const char* where) const {
      if (fails_at(where)) throw Error(ErrorCode::kEngine, "it failed");
    }
    FakeBackend& backend_;
    ChatRequest request_;
    OnText on_text_;
    std::int64_t n_left_ = 0;
    std::int64_t n_made_ = 0;
    bool is_whole_ = false;
  };

  void note(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  bool is_released(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return released_.contains(name);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::set<std::string> busy_, released_;
  int n_asked_ = 0;
  bool is_held_ = false;
};

/// What came of all requests, by their names.
class Ends {
 public:
  AnswerSink sink_of(const std::string& name) {
    return {.on_text =
                [this, name](std::string_view) {
                  const std::lock_guard lock(mutex_);
                  EXPECT_TRUE(outcomes_[name].empty()) << name;
                  n_texts_[name] += 1;
                  changed_.notify_all();
                },
            .on_end =
                [this, name](const Outcome& outcome) {
                  EXPECT_NE(outcome.result.has_value(), outcome.error.has_value());
                  const std::lock_guard lock(mutex_);
                  outcomes_[name].push_back(outcome);
                  n_ends_ += 1;
                  changed_.notify_all();
                },
            .on_gap =
                [this, name](double seconds) {
                  EXPECT_GE(seconds, 0);
                  const std::lock_guard lock(mutex_);
                  n_gaps_[name] += 1;
                }};
  }
  void wait_for(std::size_t n) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kLong, [&] { return n_ends_ >= n; }));
  }
  void wait_for_texts(const std::string& name, int n) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kLong, [&] { return n_texts_[name] >= n; }));
  }
  int n_gaps_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return n_gaps_[name];
  }
  int n_ends_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(outcomes_[name].size());
  }
  Outcome only(const std::string& name) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(outcomes_[name].size(), 1U) << name;
    return outcomes_[name].empty() ? Outcome{} : outcomes_[name].front();
  }
  bool is_whole(const std::string& name) {
    const Outcome outcome = only(name);
    return outcome.result && outcome.result->answer.end == AnswerEnd::kByModel;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t n_ends_ = 0;
  std::map<std::string, std::vector<Outcome>> outcomes_;
  std::map<std::string, int> n_texts_, n_gaps_;
};

}  // namespace kvevict::serving::test
