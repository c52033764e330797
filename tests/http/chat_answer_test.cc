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

AnsweredChoice result_of(AnswerEnd end) {
  AnsweredChoice choice{.message = {"assistant", "caf\xC3\xA9 \"x\"\n"}};
  choice.result = {
      .answer = {.end = end, .text = "caf\xC3\xA9 \"x\"\n", .n_cached = 7, .n_new = 3, .n_made = 4},
      .conversation = {
          .id = "c-1", .strategy = "full", .n_kept = 9, .n_evicted = 5, .n_cells = 256, .kv_bytes = 1024}};
  return choice;
}

std::string completion_of(const AnsweredChoice& choice, const AnswerFrame& frame = kFrame) {
  return completion(frame, std::span(&choice, 1));
}

AnsweredChoice called() {
  AnsweredChoice choice = result_of(AnswerEnd::kByModel);
  choice.message = {"assistant", "", "Hm."};
  choice.message.tool_calls = {{.id = "call_1", .name = "sum", .arguments = R"({"a":1})"}};
  return choice;
}

/// The JSON of an event.
Json json_of(const std::string& event) {
  EXPECT_TRUE(event.starts_with("data: ")) << event;
  EXPECT_TRUE(event.ends_with("\n\n")) << event;
  EXPECT_EQ(event.find('\n'), event.size() - 2) << event;  // an event is one line
  return Json::parse(event.substr(6));
}

TEST(ChatAnswerTest, AWholeAnswerHasItsCounts) {
  const Json json = Json::parse(completion_of(result_of(AnswerEnd::kByModel)));
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
  EXPECT_EQ(Json::parse(completion_of(result_of(AnswerEnd::kAtLength)))["choices"][0]["finish_reason"],
            "length");
}

TEST(ChatAnswerTest, AStreamIsARoleTextsAndAnEnd) {
  const AnsweredChoice result = result_of(AnswerEnd::kAtLength);
  const Json first = json_of(first_event(kFrame, 2)),
             text = json_of(delta_event(kFrame, 2, {.content = "a\nb\x80"}, {})),
             last = json_of(last_event(kFrame, 2, result, {})),
             usage = json_of(usage_event(kFrame, std::span(&result, 1)));
  for (const Json& chunk : {first, text, last, usage}) {
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["id"], "chatcmpl-1");
  }
  EXPECT_EQ(first["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(first["choices"][0]["index"], 2);
  EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
  EXPECT_EQ(text["choices"][0]["delta"]["content"], "a\nb\xEF\xBF\xBD");
  EXPECT_EQ(last["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(last["kvevict"]["kept"], 9);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["total_tokens"], 14);
}

TEST(ChatAnswerTest, CallsAndThoughtsAreApartFromTheContent) {
  const Json choice = Json::parse(completion_of(called()))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(choice["message"]["reasoning_content"], "Hm.");
  const Json call = {
      {"id", "call_1"}, {"type", "function"}, {"function", {{"name", "sum"}, {"arguments", R"({"a":1})"}}}};
  EXPECT_EQ(choice["message"]["tool_calls"], Json::array({call}));
  const Json plain = Json::parse(completion_of(result_of(AnswerEnd::kByModel)))["choices"][0]["message"];
  EXPECT_FALSE(plain.contains("tool_calls"));
  EXPECT_FALSE(plain.contains("reasoning_content"));
}

TEST(ChatAnswerTest, APartOfACallHasItsNameOnce) {
  const ToolCall call{.id = "call_1", .name = "sum", .arguments = "{"};
  const auto delta_of = [](const AnswerDelta& delta) {
    return json_of(delta_event(kFrame, 0, delta, {}))["choices"][0]["delta"];
  };
  const Json first = delta_of({.call = 1, .part = call})["tool_calls"][0];
  EXPECT_EQ(first["index"], 1);
  EXPECT_EQ(first["id"], "call_1");
  EXPECT_EQ(first["function"]["name"], "sum");
  EXPECT_EQ(first["function"]["arguments"], "{");
  const Json second = delta_of({.call = 1, .part = {.arguments = "}"}})["tool_calls"][0];
  EXPECT_EQ(second, (Json{{"index", 1}, {"function", {{"arguments", "}"}}}}));
  EXPECT_EQ(delta_of({.reasoning = "Hm."}), (Json{{"reasoning_content", "Hm."}}));
}

TEST(ChatAnswerTest, ProbabilitiesHaveBytesAndAlternatives) {
  AnswerFrame frame = kFrame;
  frame.has_logprobs = true;
  AnsweredChoice choice = result_of(AnswerEnd::kByModel);
  choice.drawn = {{.drawn = {.token = 5, .log_probability = -0.5, .bytes = "\xC3"},
                   .best = {{.token = 6, .log_probability = -1e300, .bytes = "a"}}}};
  const Json content = Json::parse(completion_of(choice, frame))["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 1U);
  EXPECT_EQ(content[0]["logprob"], -0.5);
  EXPECT_EQ(content[0]["bytes"], Json::array({0xC3}));
  EXPECT_EQ(content[0]["token"], "\xEF\xBF\xBD");
  EXPECT_EQ(content[0]["top_logprobs"][0]["token"], "a");
  EXPECT_EQ(content[0]["top_logprobs"][0]["logprob"], -9999.0);
  EXPECT_TRUE(Json::parse(completion_of(choice))["choices"][0]["logprobs"].is_null());
}

TEST(ChatAnswerTest, SeveralAnswersAddUp) {
  const std::vector<AnsweredChoice> choices = {result_of(AnswerEnd::kByModel), called()};
  const Json json = Json::parse(completion(kFrame, choices));
  EXPECT_EQ(json["choices"].size(), 2U);
  EXPECT_EQ(json["choices"][1]["index"], 1);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 10);
  EXPECT_EQ(json["usage"]["completion_tokens"], 8);
  EXPECT_EQ(json["usage"]["total_tokens"], 18);
}

TEST(ChatAnswerTest, ErrorsAreTheClientsOrOurs) {
  const auto status_of = [](ErrorCode code) { return api_error_of(Error(code, "s", "f")).status; };
  EXPECT_EQ(status_of(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(status_of(ErrorCode::kBadData), 400);
  EXPECT_EQ(status_of(ErrorCode::kUnsupported), 400);
  EXPECT_EQ(status_of(ErrorCode::kOutOfMemory), 500);
  EXPECT_EQ(status_of(ErrorCode::kEngine), 500);
  EXPECT_EQ(status_of(ErrorCode::kCancelled), 503);
  EXPECT_GT(api_error_of(Error(ErrorCode::kCancelled, "s")).seconds_to_wait, 0)
      << "another server may take it";
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
  serving::ChatResult result = result_of(AnswerEnd::kByModel).result;
  result.n_evicted = 2;
  metrics.count_answer(result, 0.05, 0.5);
  metrics.count_answer(result, 0.05, 0.5);
  for (const double seconds : {0.02, 0.02, 2.0}) metrics.count_gap(seconds);
  const std::string text =
      metrics.text({.n_waiting = 3, .n_running = 1},
                   {{.n_kept = 9, .n_cells = 256, .kv_bytes = 64}, {.n_kept = 1, .n_cells = 512}});
  for (const char* line :
       {"kvevict_requests_total{status=\"400\"} 1\n", "kvevict_prompt_tokens_total{from=\"cache\"} 14\n",
        "kvevict_prompt_tokens_total{from=\"decoding\"} 6\n", "kvevict_answer_tokens_total 8\n",
        "kvevict_evictions_total 4\n", "kvevict_requests_waiting 3\n", "kvevict_conversations_live 2\n",
        "kvevict_tokens_kept 10\n", "kvevict_kv_cells 768\n", "kvevict_kv_bytes 64\n",
        "kvevict_first_text_seconds_bucket{le=\"0.1\"} 2\n", "kvevict_token_seconds_bucket{le=\"0.03\"} 2\n",
        "kvevict_token_seconds_bucket{le=\"1\"} 2\n", "kvevict_token_seconds_count 3\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace kvevict::http
