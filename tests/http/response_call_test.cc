// Bodies of /v1/responses: what they ask for, and what is refused.
#include "http/response_call.h"

#include <gtest/gtest.h>

#include "http/response_history.h"
#include "kvevict/error.h"

namespace kvevict::http {
namespace {

ResponseCall call_of(const std::string& body) {
  return parse_response_call(body, {});
}

TEST(ResponseCallTest, ATextIsTheUsersMessage) {
  const ResponseCall call =
      call_of(R"({"model":"m","input":"hello","max_output_tokens":7,"temperature":0.5})");
  ASSERT_EQ(call.chat.request.messages.size(), 1U);
  EXPECT_EQ(call.chat.request.messages[0].role, "user");
  EXPECT_EQ(call.chat.request.messages[0].content, "hello");
  EXPECT_EQ(call.chat.request.form.max_new_tokens, 7);
  EXPECT_EQ(call.chat.request.form.sampling.temperature, 0.5);
  EXPECT_TRUE(call.is_stored);
  EXPECT_EQ(call.echoed["max_output_tokens"], 7);
}

TEST(ResponseCallTest, ThoughtsAndCallsBelongToOneAnswer) {
  const ResponseCall call = call_of(R"({"input":[
      {"role":"user","content":[{"type":"input_text","text":"What "},{"type":"input_text","text":"weather?"}]},
      {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
      {"type":"message","id":"msg_1","role":"assistant","status":"completed",
       "content":[{"type":"output_text","text":"I look.","annotations":[]}]},
      {"type":"function_call","id":"fc_1","call_id":"c1","name":"weather","arguments":"{}"},
      {"type":"function_call","call_id":"c2","name":"weather","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"sunny"},
      {"role":"assistant","content":"Sunny."}]})");
  const std::vector<ChatMessage>& messages = call.chat.request.messages;
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].content, "What weather?");
  EXPECT_EQ(messages[1].reasoning, "hm");
  EXPECT_EQ(messages[1].content, "I look.");
  ASSERT_EQ(messages[1].tool_calls.size(), 2U);
  EXPECT_EQ(messages[1].tool_calls[1].id, "c2");
  EXPECT_EQ(messages[2].role, "tool");
  EXPECT_EQ(messages[2].tool_call_id, "c1");
  EXPECT_EQ(messages[3].content, "Sunny.");
}

TEST(ResponseCallTest, InstructionsAndWhatWasSaidComeFirstAndToolsGoWithThem) {
  ResponseCall call =
      call_of(R"({"input":"more","instructions":"Be brief.","previous_response_id":"resp_1","store":false,
      "tools":[{"type":"function","name":"add","description":"","parameters":{"type":"object"},"strict":true}],
      "tool_choice":{"type":"function","name":"add"}})");
  EXPECT_EQ(call.previous, "resp_1");
  EXPECT_FALSE(call.is_stored);
  EXPECT_EQ(call.chat.format.function, "add");
  go_on_from(call, {{"user", "hello"}, {"assistant", "hi"}});
  const std::vector<ChatMessage>& messages = call.chat.request.messages;
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_NE(messages[0].tools.find("add"), std::string::npos);
  EXPECT_EQ(messages[2].content, "hi");
  EXPECT_TRUE(messages[3].tools.empty());
}

TEST(ResponseCallTest, RefusesByTheNameOfItsOwnField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", ""},  // a missing field has no name
      {R"({"input":[]})", "input"},
      {R"({"input":[{"type":"input_image"}]})", "input[0].type"},
      {R"({"input":[{"role":"user","content":[{"type":"input_image"}]}]})", "input[0].content[0].type"},
      {R"({"input":"a","max_output_tokens":0})", "max_output_tokens"},
      {R"({"input":"a","text":{"format":{"type":"sound"}}})", "text.format.type"},
      {R"({"input":"a","text":{"format":{"type":"json_schema","name":"n"}}})", "text.format"},
      {R"({"input":"a","tools":[{"type":"web_search"}]})", "tools[0].type"},
      {R"({"input":"a","background":true})", "background"},
      {R"({"input":"a","reasoning":{"effort":"low"}})", "reasoning"},
      {R"({"input":"a","conversation":"c"})", "conversation"},
  };
  for (const auto& [body, field] : cases) {
    try {
      (void)call_of(body);
      ADD_FAILURE() << body;
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), field) << error.what();
    }
  }
  EXPECT_NO_THROW(
      (void)call_of(R"({"input":"a","include":[],"background":false,"reasoning":{"effort":null}})"));
}

TEST(ResponseHistoryTest, KeepsTheLastOnesOfEachOwner) {
  ResponseHistory history;
  history.put("anna", "resp_1", {{"user", "hello"}});
  EXPECT_EQ(history.find("anna", "resp_1").value().front().content, "hello");
  EXPECT_FALSE(history.find("ben", "resp_1"));
  for (std::size_t i = 0; i < ResponseHistory::kMost; ++i) history.put("ben", std::to_string(i), {});
  EXPECT_FALSE(history.find("anna", "resp_1"));
  EXPECT_TRUE(history.find("ben", "0"));
  history.put("ben", "large", {{"user", std::string(ResponseHistory::kMostBytes + 1, 'x')}});
  EXPECT_FALSE(history.find("ben", "0"));
  EXPECT_FALSE(history.find("ben", "large")) << "more than all may have";
}

}  // namespace
}  // namespace kvevict::http
