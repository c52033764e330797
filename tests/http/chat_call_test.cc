// Bodies of /v1/chat/completions: what they ask for, and what is refused.
#include "http/chat_call.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "http/json_body.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"

namespace kvevict::http {
namespace {

/// A body of one message with these fields beside it.
std::string body_with(const std::string& fields) {
  return R"({"messages":[{"role":"user","content":"hi"}])" + (fields.empty() ? "" : "," + fields) + "}";
}

ChatCall parse(const std::string& body, const AnswerDefaults& defaults = {}) {
  return parse_chat_call(body, defaults);
}

struct Refusal {
  std::string sentence;
  std::string field;
};

Refusal refusal_of(const std::string& body) {
  try {
    (void)parse(body);
  } catch (const Error& error) {
    return {error.what(), error.field()};
  }
  return {"it was taken", "it was taken"};
}

TEST(ChatCallTest, ReadsWhatAnAnswerShallBe) {
  const ChatCall call = parse(body_with(
      R"("model":"any","stream":true,"stream_options":{"include_usage":true},"max_tokens":7,"temperature":0.5,
         "top_p":0.25,"top_k":3,"min_p":0.1,"seed":4294967295,"repeat_penalty":1.5,"stop":["a","b"],
         "kvevict":{"conversation":"my-talk:1","strategy":"sink_recent:4:60"})"));
  EXPECT_TRUE(call.is_streamed);
  EXPECT_TRUE(call.includes_usage);
  const AnswerOptions& form = call.request.form;
  EXPECT_EQ(form.max_new_tokens, 7);
  EXPECT_EQ(form.sampling.temperature, 0.5);
  EXPECT_EQ(form.sampling.top_p, 0.25);
  EXPECT_EQ(form.sampling.top_k, 3);
  EXPECT_EQ(form.sampling.min_p, 0.1);
  EXPECT_EQ(form.sampling.seed, 4294967295U);
  EXPECT_EQ(form.sampling.repeat_penalty, 1.5);
  EXPECT_EQ(form.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(call.request.conversation, "my-talk:1");
  EXPECT_EQ(call.request.strategy, "sink_recent:4:60");
}

TEST(ChatCallTest, WhatIsNotSaidIsTheServers) {
  AnswerDefaults defaults{.form = {.max_new_tokens = 33, .stop = {"END"}}, .has_seed = true};
  defaults.form.sampling = {.temperature = 0.7, .seed = 9};
  const ChatCall call = parse(body_with(R"("max_tokens":null,"stop":null,"seed":null)"), defaults);
  EXPECT_FALSE(call.is_streamed);
  EXPECT_EQ(call.request.form.max_new_tokens, 33);
  EXPECT_EQ(call.request.form.stop, std::vector<std::string>{"END"});
  EXPECT_EQ(call.request.form.sampling.temperature, 0.7);
  EXPECT_EQ(call.request.form.sampling.seed, 9U);
  EXPECT_EQ(parse(body_with(R"("stop":"x")"), defaults).request.form.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(parse(body_with(R"("max_completion_tokens":5)"), defaults).request.form.max_new_tokens, 5);
}

TEST(ChatCallTest, WithoutASeedEachAnswerHasItsOwn) {
  std::set<std::uint32_t> seeds;
  for (int i = 0; i < 8; ++i) seeds.insert(parse(body_with("")).request.form.sampling.seed);
  EXPECT_GT(seeds.size(), 1U);
}

TEST(ChatCallTest, MessagesAreTextsOrPartsOfText) {
  const ChatCall call = parse(
      R"({"messages":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a"},
      {"type":"text","text":"b\u0000"}],"name":"joe"},{"role":"assistant","content":"c","tool_calls":[]},
      {"role":"tool","content":"t","tool_call_id":"1"}]})");
  const std::vector<ChatMessage>& messages = call.request.messages;
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[1].content, std::string("ab\0", 3));
  EXPECT_EQ(messages[2].role, "assistant");
  EXPECT_EQ(messages[3].role, "tool");
}

TEST(ChatCallTest, ReadsPenaltiesBiasesAndProbabilities) {
  const ChatCall call =
      parse(body_with(R"("presence_penalty":-2,"frequency_penalty":0.5,"logit_bias":{"7":-100,"0":1.5},
                         "logprobs":true,"top_logprobs":3,"n":4)"));
  const AnswerOptions& form = call.request.form;
  EXPECT_EQ(form.sampling.presence_penalty, -2);
  EXPECT_EQ(form.sampling.frequency_penalty, 0.5);
  EXPECT_EQ(form.sampling.logit_bias,
            (std::vector<LogitBias>{{.token = 7, .bias = -100}, {.token = 0, .bias = 1.5}}));
  EXPECT_TRUE(call.has_logprobs);
  EXPECT_EQ(form.n_best, 3);
  EXPECT_EQ(call.n_choices, 4);
  EXPECT_THROW(parse(body_with(R"("logit_bias":{"10":1})"), {.n_vocab = 10}), Error);
  EXPECT_NO_THROW(parse(body_with(R"("logit_bias":{"9":1})"), {.n_vocab = 10}));
}

TEST(ChatCallTest, ReadsFunctionsAndHowTheyMayBeCalled) {
  const std::string tools =
      R"("tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object"}}},
                  {"type":"function","function":{"name":"g","description":"d"}}])";
  const ChatCall call = parse(body_with(tools));
  EXPECT_EQ(call.format.tool_choice, ToolChoice::kAuto);
  EXPECT_FALSE(call.format.parallel_calls.has_value());
  EXPECT_TRUE(call.format.separates_reasoning);
  EXPECT_EQ(
      nlohmann::json::parse(call.request.messages.front().tools),
      nlohmann::json::parse(
          R"([{"type":"function","function":{"name":"f","description":"","parameters":{"type":"object"}}},
              {"type":"function","function":{"name":"g","description":"d",
               "parameters":{"type":"object","properties":{}}}}])"));
  const ChatCall one = parse(body_with(
      tools + R"(,"tool_choice":{"type":"function","function":{"name":"g"}},"parallel_tool_calls":false)"));
  EXPECT_EQ(one.format.tool_choice, ToolChoice::kRequired);
  EXPECT_EQ(one.format.function, "g");
  EXPECT_EQ(one.format.parallel_calls, false);
  EXPECT_EQ(parse(body_with(tools + R"(,"tool_choice":"none")")).format.tool_choice, ToolChoice::kNone);
  EXPECT_FALSE(parse(body_with(R"("reasoning_format":"none")")).format.separates_reasoning);
  if (!reads_json_schemas()) return;
  const std::string format = R"(,"response_format":{"type":"json_object"})";
  EXPECT_EQ(refusal_of(body_with(tools + format)).field, "tools");
  EXPECT_NO_THROW(parse(body_with(tools + format + R"(,"tool_choice":"none")")));
}

TEST(ChatCallTest, AnswersBringTheirCallsAndThoughtsBack) {
  const ChatCall call = parse(
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"reasoning_content":"Hm.",
          "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
          {"role":"tool","tool_call_id":"c1","content":"5"}]})");
  const ChatMessage& answer = call.request.messages[1];
  EXPECT_EQ(answer.content, "");
  EXPECT_EQ(answer.reasoning, "Hm.");
  EXPECT_EQ(answer.tool_calls, (std::vector<ToolCall>{{.id = "c1", .name = "f", .arguments = "{}"}}));
  EXPECT_EQ(call.request.messages[2].tool_call_id, "c1");
}

TEST(ChatCallTest, WhatAsksForNothingPasses) {
  EXPECT_NO_THROW(parse(body_with(
      R"("n":1,"logprobs":false,"top_logprobs":0,"presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},
         "tools":[],"tool_choice":"none","parallel_tool_calls":true,"store":false,"metadata":{},"user":"me",
         "service_tier":"auto","modalities":["text"],"stream":true,"stream_options":{"include_obfuscation":false},"audio":null,"whatever":null,"functions":[])")));
}

TEST(ChatCallTest, WhatIsNotSupportedIsNamed) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"best_of", "2"}, {"functions", R"([{"name":"f"}])"}, {"audio", "{}"}, {"foo", "1"}}) {
    const Refusal refusal = refusal_of(body_with("\"" + name + "\":" + value));
    EXPECT_NE(refusal.sentence.find("the field \"" + name + "\" is not supported"), std::string::npos)
        << refusal.sentence;
    EXPECT_EQ(refusal.field, name);
  }
}

TEST(ChatCallTest, WrongValuesAreNamedByTheirPlace) {
  const std::vector<std::array<std::string, 3>> cases = {
      {R"("temperature":-1)", "temperature", "-1 is out of its range"},
      {R"("temperature":"hot")", "temperature", "string found, a number is needed"},
      {R"("max_tokens":0)", "max_tokens", "from 1 to 65536"},
      {R"("max_tokens":1.5)", "max_tokens", "an integer"},
      {R"("max_tokens":99999999999999999999)", "max_tokens", "an integer"},
      {R"("max_tokens":5,"max_completion_tokens":6)", "max_tokens", "another number"},
      {R"("top_p":0)", "top_p", "out of its range"},
      {R"("seed":-1)", "seed", "out of its range"},
      {R"("seed":18446744073709551615)", "seed", "an integer"},
      {R"("stop":[""])", "stop", "empty text"},
      {R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop",
       "17"},
      {R"("stop":[1])", "stop[0]", "a string"},
      {R"("stream":"yes")", "stream", "true or false"},
      {R"("stream_options":{"include_usage":true})", "stream_options", "streams alone"},
      {R"("stream":true,"stream_options":5)", "stream_options", "an object"},
      {R"("stream":true,"stream_options":{"include_all":true})", "stream_options.include_all",
       "no such field"},
      {R"("response_format":{"type":"xml"})", "response_format.type", "json_schema is needed"},
      {R"("response_format":{"type":"json_schema"})", "response_format", "\"json_schema\" is missing"},
      {R"("response_format":"json")", "response_format", "an object"},
      {R"("kvevict":{"conversation":"a/b"})", "kvevict.conversation", "1 to 128"},
      {R"("kvevict":{"conversation":""})", "kvevict.conversation", "1 to 128"},
      {R"("kvevict":{"nonsense":1})", "kvevict.nonsense", "no such field"},
      {R"("kvevict":[])", "kvevict", "an object"},
      {R"("presence_penalty":2.5)", "presence_penalty", "from -2 to 2"},
      {R"("frequency_penalty":"x")", "frequency_penalty", "a number"},
      {R"("logit_bias":[1])", "logit_bias", "an object {token: bias}"},
      {R"("logit_bias":{"x":1})", "logit_bias", "\"x\" is no token"},
      {R"("logit_bias":{"-1":1})", "logit_bias", "\"-1\" is no token"},
      {R"("logit_bias":{"5":101})", "logit_bias.5", "from -100 to 100"},
      {R"("logit_bias":{"5":null})", "logit_bias.5", "a number"},
      {R"("top_logprobs":3)", "top_logprobs", "set that to true"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "from 0 to 20"},
      {R"("logprobs":3)", "logprobs", "true or false"},
      {R"("n":9)", "n", "from 1 to 8"},
      {R"("n":0)", "n", "from 1 to 8"},
      {R"("reasoning_format":"loud")", "reasoning_format", "none, auto or deepseek"},
      {R"("tools":{})", "tools", "a list"},
      {R"("tools":[5])", "tools[0]", "an object"},
      {R"("tools":[{"type":"web_search"}])", "tools[0].type", "\"web_search\" are not supported"},
      {R"("tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name", "1 to 64"},
      {R"("tools":[{"type":"function","function":{"name":"f","parameters":[]}}])",
       "tools[0].function.parameters", "a JSON schema"},
      {R"("tool_choice":"required")", "tool_choice", "there are no tools"},
      {R"("tool_choice":"maybe")", "tool_choice", "\"maybe\" is no choice"},
      {R"("tool_choice":{"type":"function","function":{"name":"f"}})", "tool_choice.function.name",
       "no function \"f\""},
      {R"("parallel_tool_calls":1)", "parallel_tool_calls", "true or false"},
      {R"("model":5)", "model", "a string"}};
  for (const auto& [fields, place, words] : cases) {
    const Refusal refusal = refusal_of(body_with(fields));
    EXPECT_EQ(refusal.field, place) << fields;
    EXPECT_NE(refusal.sentence.find(words), std::string::npos) << fields << ": " << refusal.sentence;
  }
}

TEST(ChatCallTest, WrongMessagesAreNamedByTheirPlace) {
  const std::vector<std::array<std::string, 3>> cases = {
      {R"([])", "messages", "the list is empty"},
      {R"("hi")", "messages", "a list"},
      {R"([5])", "messages[0]", "an object"},
      {R"([{"content":"a"}])", "messages[0]", "\"role\" is missing"},
      {R"([{"role":"king","content":"a"}])", "messages[0].role", "\"king\" is no role"},
      {R"([{"role":"user"}])", "messages[0]", "\"content\" is missing"},
      {R"([{"role":"user","content":null}])", "messages[0].content", "a string"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])", "messages[0].content[0].type",
       "\"image_url\" are not supported"},
      {R"([{"role":"user","content":[{"type":"input_audio"}]}])", "messages[0].content[0].type",
       "\"input_audio\" are not supported"},
      {R"([{"role":"assistant","content":"a","tool_calls":[{"id":"1"}]}])", "messages[0].tool_calls[0]",
       "\"function\" is missing"},
      {R"([{"role":"assistant","tool_calls":[{"type":"custom"}]}])", "messages[0].tool_calls[0].type",
       "\"function\" is needed"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]}])",
       "messages[0].tool_calls[0].function.arguments", "a string"},
      {R"([{"role":"user","content":"a","tool_calls":[{"id":"1"}]}])", "messages[0].tool_calls",
       "\"assistant\" alone"},
      {R"([{"role":"assistant","content":"a","audio":{"id":"1"}}])", "messages[0].audio",
       "\"audio\" is not supported"}};
  for (const auto& [messages, place, words] : cases) {
    const Refusal refusal = refusal_of(R"({"messages":)" + messages + "}");
    EXPECT_EQ(refusal.field, place) << messages;
    EXPECT_NE(refusal.sentence.find(words), std::string::npos) << messages << ": " << refusal.sentence;
  }
  EXPECT_NE(refusal_of("{}").sentence.find("\"messages\" is missing"), std::string::npos);
  std::string many = R"({"messages":[)";
  for (std::size_t i = 0; i <= 10'000; ++i) many += R"({"role":"user","content":"x"},)";
  many.back() = ']';
  EXPECT_NE(refusal_of(many + "}").sentence.find("10001 messages"), std::string::npos);
}

TEST(ChatCallTest, FormsBecomeGrammars) {
  if (!reads_json_schemas()) GTEST_SKIP();
  EXPECT_TRUE(parse(body_with(R"("response_format":{"type":"text"})")).request.form.grammar.empty());
  EXPECT_FALSE(parse(body_with(R"("response_format":{"type":"json_object"})")).request.form.grammar.empty());
  const std::string any =
      parse(body_with(R"("response_format":{"type":"json_object"})")).request.form.grammar;
  EXPECT_NE(parse(body_with(R"("response_format":{"type":"json_object","schema":{"const":"42"}})"))
                .request.form.grammar,
            any);
  const std::string schema =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":)";
  const ChatCall call = parse(body_with(schema + R"({"enum":["yes","no"]}}})"));
  EXPECT_NE(call.request.form.grammar.find("yes"), std::string::npos);
  EXPECT_EQ(refusal_of(body_with(schema + R"({"type":"no such type"}}})")).field, "response_format");
  EXPECT_EQ(refusal_of(body_with(schema + R"("text"}})")).field, "response_format.json_schema.schema");
  const std::string description(70'000, 'x');
  EXPECT_NE(
      refusal_of(body_with(schema + R"({"description":")" + description + R"("}}})")).sentence.find("65536"),
      std::string::npos);
}

TEST(ChatCallTest, HostileBodiesAreRefusedAtOnce) {
  const std::vector<std::string> bodies = {"",
                                           " ",
                                           "[]",
                                           "null",
                                           "5",
                                           "{",
                                           R"({"messages")",
                                           "{\"a\":\"\xFF\"}",
                                           R"({"a":1e999})",
                                           R"({"a":"\ud800"})",
                                           std::string("{\0}", 3),
                                           std::string(200'000, '['),
                                           R"({"a":)" + std::string(200'000, '{'),
                                           body_with(R"("a":1,})")};
  for (const std::string& body : bodies) EXPECT_THROW(parse(body), Error) << body.substr(0, 40);
  std::string wide = "{";
  for (int i = 0; i <= kMostFields; ++i) wide += "\"" + std::to_string(i) + "\":null,";
  EXPECT_NE(refusal_of(wide + R"("z":1})").sentence.find("1000 fields"), std::string::npos);
  std::string longer = R"({"a":[)";
  for (int i = 0; i <= kMostValues; ++i) longer += "1,";
  EXPECT_NE(refusal_of(longer + "1]}").sentence.find("1000000 values"), std::string::npos);
  std::string objects = R"({"messages":[)";  // each of which must not look at all others
  for (int i = 0; i < 300'000; ++i) objects += "{},";
  EXPECT_NE(refusal_of(objects + "{}]}").sentence.find("300001 messages"), std::string::npos);
}

/// Whatever bytes come: a call, or an error of ours with a sentence.
TEST(ChatCallTest, AnyBytesAreACallOrAnError) {
  const std::string good = body_with(
      R"("stream":true,"temperature":0.5,"stop":["a"],"kvevict":{"conversation":"c"},"seed":5,"n":1,"logit_bias":{"5":1},"tools":[{"type":"function","function":{"name":"f"}}])");
  std::mt19937 random(3);
  int n_taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string body = good;
    for (unsigned n = 1 + random() % 4; n > 0; --n) {
      const std::size_t at = random() % body.size();
      switch (random() % 3) {
        case 0:
          body[at] = static_cast<char>(random());
          break;
        case 1:
          body.erase(at, 1 + random() % 5);
          break;
        default:
          body.insert(at, body.substr(random() % body.size(), random() % 8));
      }
      if (body.empty()) body = "{";
    }
    try {
      (void)parse(body);
      ++n_taken;
    } catch (const Error& error) {
      EXPECT_FALSE(std::string(error.what()).empty());
    }
  }
  EXPECT_GT(n_taken, 0);
}

}  // namespace
}  // namespace kvevict::http
