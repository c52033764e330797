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

TEST(SavedChatTest, TheDocumentThatAChatIsAboutComesBack) {
  SavedChat saved = example();
  EXPECT_FALSE(chat_from(to_data(saved), "chat.kvevict").document);
  saved.document =
      ChatDocument{.n_tokens = 2, .kept = KeepPlan(KeepSet::from_ranges({{1, 2}})), .n_turn_tokens = 64};
  const SavedChat loaded = chat_from(to_data(saved), "chat.kvevict");
  ASSERT_TRUE(loaded.document);
  EXPECT_EQ(loaded.document->n_tokens, 2);
  EXPECT_EQ(loaded.document->kept, saved.document->kept);
  EXPECT_EQ(loaded.document->n_turn_tokens, 64);
}

TEST(SavedChatTest, ADocumentThatDoesNotFitItsChatIsRefused) {
  const auto code_of = [](std::int64_t n_tokens, TokenRange kept) {
    SavedChat saved = example();  // of 3 tokens seen
    saved.document = ChatDocument{.n_tokens = n_tokens, .kept = KeepPlan(KeepSet::from_ranges({kept}))};
    try {
      static_cast<void>(chat_from(to_data(saved), "chat.kvevict"));
    } catch (const Error& error) {
      return std::optional(error.code());
    }
    return std::optional<ErrorCode>();
  };
  EXPECT_EQ(code_of(4, {3, 4}), ErrorCode::kBadData);  // longer than what was seen
  EXPECT_EQ(code_of(2, {0, 1}), ErrorCode::kBadData);  // without its last token
  EXPECT_EQ(code_of(0, {0, 0}), ErrorCode::kBadData);
  EXPECT_EQ(code_of(3, {1, 3}), std::nullopt);
}

}  // namespace
}  // namespace kvevict
