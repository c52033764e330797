// Conversations whose answers call functions: what comes back is known, and not decoded again.
#include <nlohmann/json.hpp>

#include "engine/template_format.h"
#include "kvevict/prompt_template.h"
#include "runtime/message_json.h"
#include "runtime/message_lists.h"
#include "runtime/recorded_message.h"

namespace kvevict::test {
namespace {

constexpr const char* kTools =
    R"([{"type":"function","function":{"name":"look_up","description":"","parameters":{"type":"object",
         "properties":{"word":{"type":"string","maxLength":8}},"required":["word"]}}}])";

class ToolCallsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!reads_tool_calls()) GTEST_SKIP() << "built without llama.cpp's reader of answers";
  }
};

TEST_F(ToolCallsTest, AnAnswerThatComesBackIsNotDecodedAgain) {
  Conversation chat = make_chat("full");
  const PromptTemplate prompt(chat.session().model());
  Messages messages = {{"user", "What does anchor mean?"}};
  messages.front().tools = kTools;
  AnswerOptions form{.max_new_tokens = 80,
                     .format = prompt.answer_format(messages, {.tool_choice = ToolChoice::kRequired})};
  std::int64_t n_seen = 0;
  for (int turn = 0; turn < 4; ++turn) {
    const MessagesAnswer answer = chat.answer_messages(messages, form, [](std::string_view) {});
    ASSERT_EQ(answer.end, AnswerEnd::kByModel) << answer.text;
    EXPECT_GE(answer.n_cached, n_seen - 1) << turn;  // the last token of an answer waits
    n_seen = answer.n_cached + answer.n_new + answer.n_made;
    AnswerReader reader(form.format);
    (void)reader.add(answer.text);
    (void)reader.finish();
    messages.push_back(reader.message());
    ASSERT_FALSE(messages.back().tool_calls.empty()) << answer.text;
    messages.push_back({"tool", "a heavy hook, number " + std::to_string(turn)});
    messages.back().tool_call_id = messages[messages.size() - 2].tool_calls.front().id;
  }
  EXPECT_EQ(text_seen(chat).substr(0, prompt_of(messages).size()).find("<tool_call>"),
            prompt_of(messages).find("<tool_call>"));
}

TEST_F(ToolCallsTest, OtherFunctionsMakeAnotherConversation) {
  ChatMessage question{"user", "hello"};
  question.tools = kTools;
  const std::vector<RecordedMessage> recorded = {{question}};
  EXPECT_EQ(count_same(std::vector<ChatMessage>{question}, recorded), 1U);
  EXPECT_EQ(count_same(std::vector<ChatMessage>{{"user", "hello"}}, recorded), 0U);
}

TEST(RecordedCallsTest, CallsAreTheSameWhateverTheirIdsAndSpaces) {
  ChatMessage answer{"assistant", ""};
  answer.tool_calls = {{.id = "1", .name = "f", .arguments = R"({"a":1})"}};
  const std::vector<RecordedMessage> recorded = {{answer}};
  answer.tool_calls[0] = {.id = "2", .name = "f", .arguments = R"({ "a": 1 })"};
  EXPECT_EQ(count_same(std::vector<ChatMessage>{answer}, recorded), 1U);
  answer.tool_calls[0].arguments = R"({"a":2})";
  EXPECT_EQ(count_same(std::vector<ChatMessage>{answer}, recorded), 0U);
  answer.tool_calls[0] = {.name = "g", .arguments = R"({"a":1})"};
  EXPECT_EQ(count_same(std::vector<ChatMessage>{answer}, recorded), 0U);
  answer.tool_calls.clear();
  EXPECT_EQ(count_same(std::vector<ChatMessage>{answer}, recorded), 0U);
}

TEST(MessageJsonTest, KeepsWhatAMessageHas) {
  ChatMessage message{"assistant", "a", "Hm."};
  message.tool_calls = {{.id = "1", .name = "f", .arguments = "{}"}, {.name = "g", .arguments = "{"}};
  message.tool_call_id = "7";
  message.name = "n";
  message.tools = kTools;
  const ChatMessage read = message_from_json(message_json(message));
  EXPECT_EQ(read.role, message.role);
  EXPECT_EQ(read.content, message.content);
  EXPECT_EQ(read.reasoning, message.reasoning);
  EXPECT_EQ(read.tool_calls, message.tool_calls);
  EXPECT_EQ(read.tool_call_id, message.tool_call_id);
  EXPECT_EQ(read.name, message.name);
  EXPECT_EQ(read.tools, message.tools);
  EXPECT_EQ(message_json({"user", "b"}).size(), 2U);
}

}  // namespace
}  // namespace kvevict::test
