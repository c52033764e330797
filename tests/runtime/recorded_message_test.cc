#include "runtime/recorded_message.h"

#include <gtest/gtest.h>

namespace kvevict {
namespace {

TEST(RecordedMessageTest, ThoughtsAndWhiteSpaceAreLeftOut) {
  EXPECT_EQ(without_thoughts("<think>\nHm.\n</think>\n\nAye.\n"), "Aye.");
  EXPECT_EQ(without_thoughts("Hm.</think>Aye, sir."), "Aye, sir.");  // the prompt opened the thoughts
  EXPECT_EQ(without_thoughts("<think>a</think>b<think>c</think> d "), "d");
  EXPECT_EQ(without_thoughts("<think>cut off"), "<think>cut off");
  EXPECT_EQ(without_thoughts(" \n"), "");
  EXPECT_EQ(without_thoughts("<think></think>"), "");
}

TEST(RecordedMessageTest, AnswersAreTheSameWithoutTheirThoughts) {
  const std::vector<RecordedMessage> recorded = {
      {{"user", "Hello"}}, {{"assistant", "<think>Hm.</think>Aye."}, 9}, {{"user", " Go on."}}};
  EXPECT_EQ(count_same(messages_of(recorded), recorded), 3U);
  const std::vector<ChatMessage> shorter = {{"user", "Hello"}, {"assistant", " Aye."}};
  EXPECT_EQ(count_same(shorter, recorded), 2U);
  const std::vector<ChatMessage> other = {{"user", "Hello"}, {"assistant", "No."}, {"user", " Go on."}};
  EXPECT_EQ(count_same(other, recorded), 1U);
  const std::vector<ChatMessage> trimmed = {{"user", "Hello "}};  // what a user writes is taken as it is
  EXPECT_EQ(count_same(trimmed, recorded), 0U);
}

}  // namespace
}  // namespace kvevict
