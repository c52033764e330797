#include "runtime/saved_chat.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"

namespace kvevict {
namespace {

SavedChat example() {
  return {.system = "Be brief.",
          .n_turns = 1,
          .seen = {1, 2, 3},
          .waiting = {4},
          .messages = {{{"user", "Hello\nthere"}}, {{"assistant", "Aye."}, 4}}};
}

TEST(SavedChatTest, ComesBackAsItWas) {
  const SavedChat saved = example();
  const SavedChat loaded = chat_from(to_data(saved), "chat.kvevict");
  EXPECT_EQ(loaded.system, saved.system);
  EXPECT_EQ(loaded.n_turns, 1);
  EXPECT_EQ(loaded.seen, saved.seen);
  EXPECT_EQ(loaded.waiting, saved.waiting);
  ASSERT_EQ(loaded.messages.size(), 2U);
  EXPECT_EQ(loaded.messages[0].message.content, "Hello\nthere");
  EXPECT_EQ(loaded.messages[0].n_tokens, std::nullopt);
  EXPECT_EQ(loaded.messages[1].message.role, "assistant");
  EXPECT_EQ(loaded.messages[1].n_tokens, 4);
}

TEST(SavedChatTest, OlderFilesHaveNoMessages) {
  std::string data = R"({"kind":"chat","system":"","turns":1,"n_seen":1,"n_waiting":0})";
  data.append("\n\5\0\0\0", 5);
  const SavedChat loaded = chat_from(data, "chat.kvevict");
  EXPECT_EQ(loaded.seen, std::vector<Token>{5});
  EXPECT_TRUE(loaded.messages.empty());
}

TEST(SavedChatTest, AnAnswerBehindItsTokensIsRefused) {
  SavedChat saved = example();
  saved.messages[1].n_tokens = 5;
  try {
    static_cast<void>(chat_from(to_data(saved), "chat.kvevict"));
    FAIL() << "it was loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("chat.kvevict"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace kvevict
