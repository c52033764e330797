// What clients get: answers, events and errors.
#include "http/chat_answer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "http/api_keys.h"
#include "http/metrics.h"

namespace kvevict::http {
namespace {

using Json = nlohmann::json;

const AnswerFrame kFrame{.id = "chatcmpl-1", .created = 5, .model = "m"};

serving::ChatResult result_of(AnswerEnd end) {
  return {
      .answer = {.end = end, .text = "caf\xC3\xA9 \"x\"\n", .n_cached = 7, .n_new = 3, .n_made = 4},
      .conversation = {
          .id = "c-1", .strategy = "full", .n_kept = 9, .n_evicted = 5, .n_cells = 256, .kv_bytes = 1024}};
}

/// The JSON of an event.
Json json_of(const std::string& event) {
  EXPECT_TRUE(event.starts_with("data: ")) << event;
  EXPECT_TRUE(event.ends_with("\n\n")) << event;
  EXPECT_EQ(event.find('\n'), event.size() - 2) << event;  // an event is one line
  return Json::parse(event.substr(6));
}

TEST(ChatAnswerTest, AWholeAnswerHasItsCounts) {
  const Json json = Json::parse(completion(kFrame, result_of(AnswerEnd::kByModel)));
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["choices"][0]["message"]["content"], "caf\xC3\xA9 \"x\"\n");
  EXPECT_EQ(json["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 10);
  EXPECT_EQ(json["usage"]["completion_tokens"], 4);
  EXPECT_EQ(json["usage"]["total_tokens"], 14);
  EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 7);
  EXPECT_EQ(json["kvevict"]["conversation"], "c-1");
  EXPECT_EQ(json["kvevict"]["kept"], 9);
  EXPECT_EQ(json["kvevict"]["evicted"], 5);
  EXPECT_EQ(json["kvevict"]["bytes"], 1024);
  EXPECT_EQ(Json::parse(completion(kFrame, result_of(AnswerEnd::kAtLength)))["choices"][0]["finish_reason"],
            "length");
}

TEST(ChatAnswerTest, AStreamIsARoleTextsAndAnEnd) {
  const serving::ChatResult result = result_of(AnswerEnd::kAtLength);
  const Json first = json_of(first_event(kFrame)), text = json_of(text_event(kFrame, "a\nb\x80")),
             last = json_of(last_event(kFrame, result)), usage = json_of(usage_event(kFrame, result));
  for (const Json& chunk : {first, text, last, usage}) {
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["id"], "chatcmpl-1");
  }
  EXPECT_EQ(first["choices"][0]["delta"]["role"], "assistant");
  EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
  EXPECT_EQ(text["choices"][0]["delta"]["content"], "a\nb\xEF\xBF\xBD");
  EXPECT_EQ(last["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(last["kvevict"]["kept"], 9);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["total_tokens"], 14);
}

TEST(ChatAnswerTest, ErrorsAreTheClientsOrOurs) {
  const auto status_of = [](ErrorCode code) { return api_error_of(Error(code, "s", "f")).status; };
  EXPECT_EQ(status_of(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(status_of(ErrorCode::kBadData), 400);
  EXPECT_EQ(status_of(ErrorCode::kUnsupported), 400);
  EXPECT_EQ(status_of(ErrorCode::kOutOfMemory), 500);
  EXPECT_EQ(status_of(ErrorCode::kEngine), 500);
  EXPECT_EQ(status_of(ErrorCode::kCancelled), 503);
  const Json json = Json::parse(api_error_of(Error(ErrorCode::kBadData, "a \xFF", "stop")).json());
  EXPECT_EQ(json["error"]["param"], "stop");
  EXPECT_EQ(json["error"]["type"], "invalid_request_error");
  EXPECT_TRUE(json["error"]["code"].is_null());
}

TEST(ApiKeysTest, AKeyIsAnOwner) {
  const ApiKeys none;
  EXPECT_FALSE(none.are_needed());
  EXPECT_EQ(none.owner_of(""), "");
  EXPECT_EQ(none.owner_of("Bearer x"), "");
  const ApiKeys keys({"one", "two"});
  ASSERT_TRUE(keys.owner_of("Bearer one"));
  ASSERT_TRUE(keys.owner_of("Bearer two"));
  EXPECT_NE(keys.owner_of("Bearer one"), keys.owner_of("Bearer two"));
  for (const char* wrong :
       {"", "one", "Bearer", "Bearer ", "Bearer on", "Bearer onee", "bearer one", "Basic one"})
    EXPECT_FALSE(keys.owner_of(wrong)) << wrong;
}

TEST(MetricsTest, CountsAnswersAndShowsWhatIsLive) {
  Metrics metrics;
  metrics.count_request(200);
  metrics.count_request(400);
  metrics.count_answer(result_of(AnswerEnd::kByModel).answer, 0.05, 0.5);
  const std::string text =
      metrics.text({.n_waiting = 3, .n_running = 1}, {{.n_kept = 9, .kv_bytes = 64}, {.n_kept = 1}});
  for (const char* line :
       {"kvevict_requests_total{status=\"400\"} 1\n", "kvevict_prompt_tokens_total{from=\"cache\"} 7\n",
        "kvevict_prompt_tokens_total{from=\"decoding\"} 3\n", "kvevict_answer_tokens_total 4\n",
        "kvevict_requests_waiting 3\n", "kvevict_conversations_live 2\n", "kvevict_tokens_kept 10\n",
        "kvevict_kv_bytes 64\n", "kvevict_first_text_seconds_bucket{le=\"0.1\"} 1\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace kvevict::http
