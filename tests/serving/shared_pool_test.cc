// Two servers' pools of live conversations on one store, with a real model.
#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "serving/conversation_pool.h"
#include "support/test_models.h"
#include "support/work_folder.h"

namespace kvevict::serving {
namespace {

class SharedPoolTest : public testing::Test {
 protected:
  [[nodiscard]] PoolOptions options(bool has_store = true) {
    const auto model = test::load_model(test::shallow_model_path());
    PoolOptions options{
        .model = model,
        .run_for =
            [model](const std::string&, const std::string&) {
              return ModelRun{model, make_policy("sink_recent:16:112"),
                              SessionOptions{.n_chunk = 64, .prefill = PrefillMode::kBounded}};
            },
        .n_live = 2,
        .places = {.session = {.n_chunk = 64, .prefill = PrefillMode::kBounded}, .n_cells = 256}};
    if (has_store)
      options.store = std::make_shared<ConversationStore>(StoreOptions{
          .folder = folder_, .n_most_bytes = 1 << 30, .model_sha256 = model->sha256(), .is_shared = true});
    options.on_store_error = [this](const Error& error) { errors_.emplace_back(error.what()); };
    return options;
  }

  static std::unique_ptr<RunningAnswer> begin(ConversationPool& pool, ChatRequest request) {
    request.form.max_new_tokens = 8;
    return pool.begin(request, [](std::string_view) {});
  }

  static ChatResult finish(ConversationPool& pool, RunningAnswer& answer) {
    while (answer.n_prompt_left() > 0) answer.take_in();
    while (answer.draw()) {
      RunningAnswer* const one = &answer;
      EXPECT_FALSE(pool.append({&one, 1}).front());
    }
    return answer.finish();
  }

  /// A turn of a talk: asks, and takes the answer into the history.
  static ChatResult turn(ConversationPool& pool, ChatRequest& talk, const std::string& message) {
    talk.messages.push_back({"user", message});
    ChatResult result = finish(pool, *begin(pool, talk));
    talk.messages.push_back({"assistant", result.answer.text});
    return result;
  }

  static Error refusal_of(ConversationPool& pool, const ChatRequest& request) {
    try {
      (void)begin(pool, request);
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kEngine, "nothing was refused"};
  }

  void change_index(const std::string& statement) { Database(folder_ / "index.sqlite", true).run(statement); }

  std::filesystem::path folder_ = test::make_work_folder();
  std::vector<std::string> errors_;
};

TEST_F(SharedPoolTest, TurnsAtEitherServerAreThoseOfOneServerAlone) {
  ConversationPool without(options(false)), one(options()), two(options());
  ConversationPool* const servers[] = {&one, &two, &two, &one, &one, &two};
  ChatRequest plain, shared;
  std::string id;
  for (std::size_t i = 0; i < std::size(servers); ++i) {
    const std::string message = "Tell me of wave number " + std::to_string(i) + " of that storm.";
    const ChatResult wanted = turn(without, plain, message), result = turn(*servers[i], shared, message);
    EXPECT_EQ(result.answer.text, wanted.answer.text) << i;
    EXPECT_EQ(result.answer.n_cached, wanted.answer.n_cached) << i;
    EXPECT_EQ(result.conversation.n_evicted, wanted.conversation.n_evicted) << i;
    if (i > 0) {
      EXPECT_EQ(result.conversation.id, id) << i;
    }
    id = result.conversation.id;
    for (ConversationPool* const server : servers) {
      ASSERT_EQ(server->list("").size(), 1U);
      EXPECT_EQ(server->list("").front().n_turns, static_cast<std::int64_t>(i) + 1);
    }
  }
  EXPECT_TRUE(errors_.empty()) << errors_.front();
}

TEST_F(SharedPoolTest, WhatAnotherServerAnswersIsRefusedUntilItHas) {
  ConversationPool one(options()), two(options());
  ChatRequest named{.conversation = "sea", .messages = {{"user", "Tell me of the sea."}}};
  auto answer = begin(one, named);
  EXPECT_EQ(refusal_of(two, named).field(), kElsewhereField);
  const ChatResult first = finish(one, *answer);
  named.messages.push_back({"assistant", first.answer.text});
  EXPECT_GT(turn(two, named, "And of the wind.").answer.n_cached, first.answer.n_new);

  ChatRequest unnamed{.messages = {{"user", "Hello."}}};
  unnamed.messages.push_back({"assistant", finish(one, *begin(one, unnamed)).answer.text});
  unnamed.messages.push_back({"user", "Tell me of the sand."});
  answer = begin(one, unnamed);
  EXPECT_EQ(refusal_of(two, unnamed).field(), kElsewhereField);
  const ChatResult other = finish(two, *begin(two, {.messages = {{"user", "Hello."}}}));
  EXPECT_NE(other.conversation.id, finish(one, *answer).conversation.id)
      << "only its first words are the same";
}

TEST_F(SharedPoolTest, AnAnswerThatIsLeftGivesItsLeaseBack) {
  ConversationPool one(options()), two(options());
  const ChatRequest request{.conversation = "sea", .messages = {{"user", "Tell me of the sea."}}};
  (void)begin(one, request);
  EXPECT_EQ(finish(two, *begin(two, request)).answer.n_made, 8);
}

TEST_F(SharedPoolTest, WhatIsDeletedAtOneServerIsGoneAtTheOther) {
  ConversationPool one(options()), two(options());
  ChatRequest talk{.conversation = "sea"};
  turn(one, talk, "Tell me of the sea.");
  talk.messages.push_back({"user", "And of the wind."});
  auto answer = begin(one, talk);
  EXPECT_EQ(two.forget("", "sea"), ConversationPool::Forgotten::kBusy);
  talk.messages.push_back({"assistant", finish(one, *answer).answer.text});
  EXPECT_EQ(two.forget("", "sea"), ConversationPool::Forgotten::kYes);
  EXPECT_TRUE(one.list("").empty());
  EXPECT_EQ(turn(one, talk, "And of the sand.").answer.n_cached, 0);
}

TEST_F(SharedPoolTest, AnAnswerWhoseConversationWasTakenOverIsNone) {
  ConversationPool one(options()), two(options());
  ChatRequest talk{.conversation = "sea"};
  turn(one, talk, "Tell me of the sea.");
  talk.messages.push_back({"user", "And of the wind."});
  auto late = begin(one, talk);
  change_index("DELETE FROM leases");  // as if the first server were taken for dead
  const ChatResult second = finish(two, *begin(two, talk));
  EXPECT_THROW((void)finish(one, *late), Error);
  late.reset();
  talk.messages.push_back({"assistant", second.answer.text});
  const ChatResult third = turn(one, talk, "And of the sand.");
  EXPECT_GE(third.answer.n_cached, second.answer.n_cached + second.answer.n_new);
}

TEST_F(SharedPoolTest, AStoreThatCannotBeAskedIsSaidOnceAndAnswersGoOn) {
  ConversationPool pool(options());
  ChatRequest talk;
  turn(pool, talk, "Tell me of the sea.");
  change_index("ALTER TABLE leases RENAME TO away");
  EXPECT_GT(turn(pool, talk, "And of the wind.").answer.n_cached, 0);
  EXPECT_GT(turn(pool, talk, "And of the sand.").answer.n_cached, 0);
  EXPECT_EQ(errors_.size(), 1U);
  change_index("ALTER TABLE away RENAME TO leases");
  const ChatResult last = turn(pool, talk, "And of the stars.");
  ConversationPool other(options());
  EXPECT_GT(turn(other, talk, "And of the moon.").answer.n_cached, last.answer.n_cached);
}

}  // namespace
}  // namespace kvevict::serving
