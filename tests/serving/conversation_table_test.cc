// Which conversation a list of messages goes on with.
#include "serving/conversation_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kvevict/error.h"

namespace kvevict::serving {
namespace {

using Messages = std::vector<ChatMessage>;

class ConversationTableTest : public testing::Test {
 protected:
  /// Claims, and says that the model answered "a<n>", n the number of the user's messages.
  ConversationTable::Claim take(const ChatRequest& request) {
    const ConversationTable::Claim claim = table_.claim(request).value();
    std::vector<RecordedMessage> messages;
    for (const ChatMessage& message : request.messages) messages.push_back({message});
    messages.push_back({{"assistant", "a" + std::to_string(std::ranges::count(request.messages, "user",
                                                                              &ChatMessage::role))}});
    table_.release(claim.key, std::move(messages));
    return claim;
  }

  /// A history of the user's messages with the answers between them.
  static Messages history(const std::vector<std::string>& said, const std::string& system = "s") {
    Messages messages = {{"system", system}};
    for (std::size_t i = 0; i < said.size(); ++i) {
      if (i > 0) messages.push_back({"assistant", "a" + std::to_string(i)});
      messages.push_back({"user", said[i]});
    }
    return messages;
  }

  int n_ids_ = 0;
  ConversationTable table_{3, [this] { return "id" + std::to_string(++n_ids_); }};
};

TEST_F(ConversationTableTest, AGrowingHistoryStaysWhereItIs) {
  const auto first = take({.messages = history({"hello"})});
  EXPECT_TRUE(first.is_new);
  for (const auto& said : {std::vector<std::string>{"hello", "b"}, {"hello", "b", "c"}}) {
    const auto next = take({.messages = history(said)});
    EXPECT_FALSE(next.is_new);
    EXPECT_EQ(next.key, first.key);
  }
}

TEST_F(ConversationTableTest, AnotherFirstMessageOrSystemPromptIsAnotherConversation) {
  const auto first = take({.messages = history({"hello"})});
  EXPECT_TRUE(take({.messages = history({"hi", "b"})}).is_new);
  EXPECT_TRUE(take({.messages = history({"hello", "b"}, "another")}).is_new);
  EXPECT_EQ(take({.messages = history({"hello", "b"})}).key, first.key);
}

TEST_F(ConversationTableTest, TheLongestCommonBeginningWins) {
  const auto one = take({.messages = history({"hello", "b", "c"})});
  const auto two = take({.conversation = "", .strategy = "", .messages = history({"hello"})});  // begins anew
  EXPECT_NE(one.key, two.key);
  EXPECT_EQ(take({.messages = history({"hello", "b", "other"})}).key, one.key);
  EXPECT_EQ(take({.messages = history({"hello", "x"})}).key, two.key);  // loses nothing there
}

TEST_F(ConversationTableTest, TheFirstAnswerIsMadeAgainInPlace) {
  const auto one = take({.messages = history({"hello"})});
  EXPECT_EQ(take({.messages = history({"hello"})}).key, one.key);
}

TEST_F(ConversationTableTest, OwnersNeverMeet) {
  const auto mine = take({.owner = "a", .messages = history({"hello"})});
  EXPECT_TRUE(take({.owner = "b", .messages = history({"hello", "b"})}).is_new);
  take({.owner = "a", .conversation = "talk", .messages = history({"x"})});
  EXPECT_FALSE(table_.find("b", "talk"));
  EXPECT_TRUE(take({.owner = "b", .conversation = "talk", .messages = history({"x"})}).is_new);
  EXPECT_NE(mine.key, 0U);
}

TEST_F(ConversationTableTest, ANameIsFoundByTheNameAlone) {
  const auto named = take({.conversation = "talk", .messages = history({"hello"})});
  EXPECT_TRUE(take({.messages = history({"hello", "b"})}).is_new);
  EXPECT_EQ(take({.conversation = "talk", .messages = history({"something else"})}).key, named.key);
}

TEST_F(ConversationTableTest, AnIdIsAName) {
  const auto one = take({.messages = history({"hello"})});
  EXPECT_EQ(take({.conversation = "id1", .messages = history({"else"})}).key, one.key);
}

TEST_F(ConversationTableTest, AStrategyStaysWithItsConversation) {
  const auto named =
      take({.conversation = "talk", .strategy = "sink_recent:4:60", .messages = history({"hello"})});
  EXPECT_EQ(take({.conversation = "talk", .messages = history({"hello", "b"})}).key, named.key);
  try {
    (void)table_.claim({.conversation = "talk", .strategy = "sink_recent:4:61", .messages = history({"x"})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.field(), "strategy");
    EXPECT_NE(std::string(error.what()).find("sink_recent:4:60"), std::string::npos) << error.what();
  }
  const auto plain = take({.messages = history({"hello"})});
  EXPECT_NE(take({.strategy = "sink_recent:4:60", .messages = history({"hello", "b"})}).key, plain.key);
}

TEST_F(ConversationTableTest, TheOneUsedLongestAgoGoesButNoneThatIsClaimed) {
  const auto one = table_.claim({.messages = history({"1"})}).value();  // stays claimed
  const auto two = take({.messages = history({"2"})}), three = take({.messages = history({"3"})});
  take({.messages = history({"2", "b"})});
  const auto four = take({.messages = history({"4"})});
  ASSERT_TRUE(four.dropped);
  EXPECT_EQ(*four.dropped, three.key);
  EXPECT_EQ(*take({.messages = history({"5"})}).dropped, two.key);
  EXPECT_TRUE(table_.known().contains(one.key));
  EXPECT_EQ(table_.known().size(), 3U);
}

TEST_F(ConversationTableTest, ATextTakesThePlaceOfTheOneUsedLongestAgoUntilItEnds) {
  const auto one = take({.messages = history({"1"})}), two = take({.messages = history({"2"})});
  EXPECT_FALSE(table_.take_place());
  EXPECT_EQ(table_.take_place(), one.key);
  EXPECT_EQ(take({.messages = history({"3"})}).dropped, two.key);
  table_.give_place();
  EXPECT_FALSE(take({.messages = history({"4"})}).dropped);
  table_.give_place();
  EXPECT_EQ(table_.known().size(), 2U);
  EXPECT_FALSE(take({.messages = history({"5"})}).dropped);
}

TEST_F(ConversationTableTest, WhatIsBeingAnsweredMustEndFirst) {
  const auto talk = take({.messages = history({"hello"})});
  const auto claimed = table_.claim({.messages = history({"hello", "b"})});
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->key, talk.key);
  EXPECT_FALSE(table_.claim({.messages = history({"hello", "b"})}));
  EXPECT_FALSE(table_.claim({.messages = history({"hello", "other"})})) << "an answer was made there";
  const auto other = table_.claim({.messages = history({"hello"})});
  ASSERT_TRUE(other) << "somebody else may begin with the same words";
  EXPECT_TRUE(other->is_new);
  ASSERT_TRUE(table_.claim({.conversation = "name", .messages = history({"x"})}));
  EXPECT_FALSE(table_.claim({.conversation = "name", .messages = history({"y"})}));
  table_.release(talk.key);
  EXPECT_EQ(table_.claim({.messages = history({"hello", "b"})}).value().key, talk.key);
}

TEST_F(ConversationTableTest, WithoutAUsersMessageItIsNew) {
  EXPECT_TRUE(take({.messages = {{"system", "s"}}}).is_new);
  EXPECT_TRUE(take({.messages = {{"system", "s"}}}).is_new);
}

TEST_F(ConversationTableTest, WhatAnotherServerAnswersIsAsIfItWereClaimed) {
  const auto one = take({.messages = history({"hello"})});
  EXPECT_FALSE(table_.claim({.messages = history({"hello", "go on"})}, {one.key}));
  const auto other = table_.claim({.messages = history({"hello"})}, {one.key}).value();
  EXPECT_TRUE(other.is_new) << "it only begins with the same words";
}

TEST_F(ConversationTableTest, TellsWhatDiffersFromAStore) {
  for (const char* id : {"same", "changed", "removed", "claimed", "never stored"})
    table_.add_resting({.owner = "o", .id = id, .is_named = true, .revision = id});
  table_.set_revision(*table_.find("o", "never stored"), "");
  (void)table_.claim({.owner = "o", .conversation = "claimed"});
  const std::vector<ConversationName> wanted = {{"o", "new"}, {"o", "changed"}, {"o", "removed"}};
  EXPECT_EQ(table_.differing({{{"o", "new"}, "1"}, {{"o", "same"}, "same"}, {{"o", "changed"}, "other"}}),
            wanted);
}

/// Any sequence: never more than the limit, never across owners, and a history that only grows is found as
/// long as it is live.
TEST_F(ConversationTableTest, HoldsForRandomSequences) {
  std::mt19937 random(7);
  const auto draw = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 200; ++round) {
    ConversationTable table(1 + draw(4), [this] { return "r" + std::to_string(++n_ids_); });
    struct Talk {
      ChatRequest request;
      ConversationTable::Key key = 0;
    };
    std::vector<Talk> talks;
    for (std::size_t i = 0; i < 6; ++i) {
      talks.push_back({{.owner = "o" + std::to_string(i % 2),
                        .conversation = i == 5 ? "named" : "",
                        .messages = {{"user", "talk " + std::to_string(i)}}}});
    }
    for (int step = 0; step < 60; ++step) {
      Talk& talk = talks[draw(talks.size())];
      const bool is_live = talk.key != 0 && table.known().contains(talk.key);
      const auto claim = table.claim(talk.request).value();
      EXPECT_EQ(claim.is_new, !is_live);
      if (is_live) {
        EXPECT_EQ(claim.key, talk.key);
      }
      EXPECT_EQ(table.known().at(claim.key).owner, talk.request.owner);
      talk.key = claim.key;
      talk.request.messages.push_back({"assistant", "answer " + std::to_string(step)});
      std::vector<RecordedMessage> said;
      for (const ChatMessage& message : talk.request.messages) said.push_back({message});
      table.release(claim.key, std::move(said));
      talk.request.messages.push_back({"user", "go on " + std::to_string(step)});
    }
  }
}

}  // namespace
}  // namespace kvevict::serving
