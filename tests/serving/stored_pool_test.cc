// Conversations of a real model that a store keeps.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kvevict/error.h"
#include "serving/small_pools.h"
#include "serving/sqlite.h"
#include "support/work_folder.h"

namespace kvevict::serving {
namespace {

class StoredPoolTest : public testing::Test {
 protected:
  [[nodiscard]] PoolOptions with_store(std::size_t n_live) {
    PoolOptions options = options_for(n_live);
    options.store = std::make_shared<ConversationStore>(
        StoreOptions{.folder = folder_, .n_most_bytes = 1 << 30, .model_sha256 = options.model->sha256()});
    options.on_store_error = [this](const Error& error) { errors_.emplace_back(error.what()); };
    return options;
  }

  std::filesystem::path folder_ = test::make_work_folder();
  std::vector<std::string> errors_;
};

TEST_F(StoredPoolTest, AConversationGoesOnBehindARestartAsIfThereWasNone) {
  const std::vector<std::string> said = {"Tell me of the sea.", "And of the wind.", "And of the sand.",
                                         "What was first?"};
  std::vector<ChatMessage> plain, stored;
  ConversationPool without(options_for(1));
  for (const std::string& message : said) {
    const ChatResult wanted = turn(without, plain, message);
    ConversationPool pool(with_store(1));  // each turn in a process of its own, as it were
    const ChatResult result = turn(pool, stored, message);
    EXPECT_EQ(result.answer.text, wanted.answer.text);
    EXPECT_EQ(result.answer.n_cached, wanted.answer.n_cached);
    EXPECT_EQ(result.conversation.n_evicted, wanted.conversation.n_evicted);
    EXPECT_EQ(pool.list(std::nullopt).size(), 1U);
  }
  EXPECT_TRUE(errors_.empty());
}

TEST_F(StoredPoolTest, WhatMakesRoomRestsAndComesBack) {
  ConversationPool pool(with_store(1));
  std::vector<ChatMessage> one, two;
  const ChatResult first = turn(pool, one, "Tell me of the sea.");
  turn(pool, two, "Somebody else.");
  const auto all = pool.list(std::nullopt);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].is_live);
  EXPECT_FALSE(all[1].is_live);
  EXPECT_EQ(all[1].id, first.conversation.id);
  EXPECT_EQ(all[1].n_turns, 1);
  const ChatResult again = turn(pool, one, "And of the wind.");
  EXPECT_EQ(again.conversation.id, first.conversation.id);
  EXPECT_GT(again.answer.n_cached, first.answer.n_new);
  EXPECT_EQ(pool.forget("", first.conversation.id), ConversationPool::Forgotten::kYes);
  EXPECT_EQ(pool.list(std::nullopt).size(), 1U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "states"), {}), 1)
      << "it is gone from the disk, too";
}

TEST_F(StoredPoolTest, ATurnWritesTheMessagesThatItSaidAlone) {
  ConversationPool pool(with_store(1));
  std::vector<ChatMessage> history;
  for (const char* message : {"Tell me of the sea.", "And of the wind.", "And of the sand."})
    turn(pool, history, message);
  Database index(folder_ / "index.sqlite");
  index.run("UPDATE messages SET text = replace(text, 'sea', 'lake')");
  turn(pool, history, "And of the stars.");
  const auto count = [&](const std::string& text) {  // messages of the user that end with it
    Statement rows = index.prepare("SELECT count(*) FROM messages WHERE text LIKE ?");
    EXPECT_TRUE(rows.bind("%" + text + "\",\"role\":\"user%").step());
    return rows.number(0);
  };
  EXPECT_EQ(count("of the lake."), 1) << "it was written again";
  EXPECT_EQ(count("of the stars."), 1);
  EXPECT_EQ(count(""), 4);
  history.resize(2);
  turn(pool, history, "No: of the rain.");
  EXPECT_EQ(count("of the rain."), 1);
  EXPECT_EQ(count(""), 2);
}

TEST_F(StoredPoolTest, OneThatNeedsMoreThanAPlaceComesBackInAContextOfItsOwn) {
  std::vector<ChatMessage> history;
  {
    PoolOptions larger = with_store(1);
    larger.run_for = [model = larger.model](const std::string&, const std::string&) {
      return ModelRun{model, make_policy("sink_recent:16:400"),
                      SessionOptions{.n_chunk = 64, .prefill = PrefillMode::kBounded}};
    };
    larger.places.n_cells = 512;
    ConversationPool pool(larger);
    EXPECT_EQ(turn(pool, history, "Tell me of the sea.").conversation.n_cells, 512);
  }
  ConversationPool pool(with_store(1));  // restarted with a strategy that needs less
  const ChatResult first = turn(pool, history, "And of the wind.");
  EXPECT_GT(first.answer.n_cached, 0);
  EXPECT_EQ(pool.places().pool()->n_open(), 0);
  std::string long_text;
  for (int i = 0; i < 60; ++i) long_text += "Wave " + std::to_string(i) + " came in. ";
  const ChatResult result = turn(pool, history, long_text);
  EXPECT_EQ(result.answer.n_made, 8);
  EXPECT_GT(result.conversation.n_kept, 256);
  EXPECT_TRUE(errors_.empty());
}

TEST_F(StoredPoolTest, AnAnswerIsNotLostForAStoreThatCannotBeWritten) {
  ConversationPool pool(with_store(1));
  std::vector<ChatMessage> history;
  turn(pool, history, "Tell me of the sea.");
  std::filesystem::remove_all(folder_ / "states");
  std::ofstream(folder_ / "states") << "no folder any more";
  const ChatResult result = turn(pool, history, "And of the wind.");
  EXPECT_EQ(result.answer.n_made, 8);
  EXPECT_GT(result.answer.n_cached, 0);
  EXPECT_GT(turn(pool, history, "And of the sand.").answer.n_cached, 0);
  EXPECT_EQ(errors_.size(), 1U) << "it is said once";
  std::filesystem::remove(folder_ / "states");
  std::filesystem::create_directory(folder_ / "states");
  turn(pool, history, "And of the stars.");
  std::filesystem::remove_all(folder_ / "states");
  std::ofstream(folder_ / "states") << "no folder again";
  turn(pool, history, "And of the moon.");
  EXPECT_EQ(errors_.size(), 2U) << "it had worked meanwhile";
}

TEST_F(StoredPoolTest, WhatCannotBeDeletedIsKnownStillAndCanBeDeletedLater) {
  ConversationPool pool(with_store(1));
  std::vector<ChatMessage> history;
  const std::string id = turn(pool, history, "Tell me of the sea.").conversation.id;
  Database index(folder_ / "index.sqlite");
  index.run("CREATE TRIGGER kept BEFORE DELETE ON conversations BEGIN SELECT RAISE(ABORT, 'read-only'); END");
  EXPECT_THROW((void)pool.forget("", id), Error);
  ASSERT_TRUE(pool.view("", id));
  EXPECT_GT(turn(pool, history, "And of the wind.").answer.n_cached, 0);
  index.run("DROP TRIGGER kept");
  EXPECT_EQ(pool.forget("", id), ConversationPool::Forgotten::kYes);
  EXPECT_FALSE(pool.view("", id));
  Statement left = index.prepare("SELECT count(*) FROM conversations");
  ASSERT_TRUE(left.step());
  EXPECT_EQ(left.number(0), 0);
}

TEST_F(StoredPoolTest, ADamagedStateIsSaidAndTakenInAnew) {
  std::vector<ChatMessage> history;
  turn(*std::make_unique<ConversationPool>(with_store(1)), history, "Tell me of the sea.");
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "states"))
    std::filesystem::resize_file(entry.path(), 1000);
  ConversationPool pool(with_store(1));
  EXPECT_EQ(turn(pool, history, "And of the wind.").answer.n_cached, 0);
  EXPECT_EQ(errors_.size(), 1U);
  EXPECT_GT(turn(pool, history, "And of the sand.").answer.n_cached, 0);
}

}  // namespace
}  // namespace kvevict::serving
