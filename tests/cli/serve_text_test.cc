// kvevict serve: /v1/completions, through the real server over loopback.
#include <gtest/gtest.h>

#include "kvevict/session.h"
#include "support/served.h"

namespace kvevict::test {
namespace {

constexpr const char* kStrategy = "sink_recent:4:60";
const std::vector<std::string> kSmall = {"--strategy", kStrategy, "--sink_tokens", "4",
                                         "--chunk",    "32",      "--kv_type",     "f32"};

Served::Reply complete(const Served& server, const Json& body) {
  return server.post("/v1/completions", body.dump());
}

std::vector<Token> prose(std::size_t n) {
  return prose_tokens(*load_model(shallow_model_path()), n);
}

/// What a session of its own says of each token of `tokens` but the first.
std::vector<double> judged(const std::vector<Token>& tokens) {
  SessionOptions options{.type_k = KvType::kF32, .type_v = KvType::kF32};
  options.prefill = PrefillMode::kBounded;
  options.n_chunk = 32;
  Session session(load_model(shallow_model_path()), make_policy(kStrategy), options);
  std::vector<double> values;
  session.append(tokens, {.on_log_probability = [&](std::int64_t, double p) { values.push_back(p); }});
  return values;
}

TEST(ServeText, AnEchoIsJudgedAsASessionWithTheSameStrategyDoes) {
  const Served server(kSmall);
  const std::vector<Token> tokens = prose(150);  // more than twice what is kept
  const Json body = {
      {"prompt", tokens}, {"max_tokens", 1}, {"echo", true}, {"logprobs", 1}, {"temperature", 0}};
  const auto reply = complete(server, body);
  ASSERT_EQ(reply.status, 200) << reply.json;
  const Json& logprobs = reply.json["choices"][0]["logprobs"];
  const std::vector<double> expected = judged(tokens);
  ASSERT_EQ(logprobs["token_logprobs"].size(), tokens.size() + 1);
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(logprobs["token_logprobs"][i + 1].get<double>(), expected[i], 1e-4) << i;
    EXPECT_GE(logprobs["top_logprobs"][i + 1].front().get<double>() + 1e-9,
              logprobs["token_logprobs"][i + 1].get<double>());
  }
  EXPECT_GT(reply.json["kvevict"]["evicted"], 0);
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"], tokens.size());
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 1);
}

TEST(ServeText, AStrategyThatATextNamesIsTakenAsItStands) {
  const Served server({"--strategy", "sink_recent:16:112", "--chunk", "32"});
  const Json body = {{"prompt", prose(150)}, {"max_tokens", 1}, {"kvevict", {{"strategy", kStrategy}}}};
  const auto reply = complete(server, body);
  ASSERT_EQ(reply.status, 200) << reply.json;
  EXPECT_EQ(reply.json["kvevict"]["strategy"], kStrategy);
  EXPECT_EQ(reply.json["kvevict"]["kept"], 64 + 150 % 32);  // evicted before the last chunk
}

TEST(ServeText, GoesOnWithATextAsItStands) {
  const Served server(kSmall);
  const auto model = load_model(shallow_model_path());
  const std::string text = "The sea is";
  Session session(model, make_policy(kStrategy), {.type_k = KvType::kF32, .type_v = KvType::kF32});
  session.append(model->tokenize(text, true, true));
  const std::string expected = session.generate({.max_new_tokens = 12}).text;
  Json body = {{"prompt", text}, {"max_tokens", 12}, {"temperature", 0}};
  EXPECT_EQ(complete(server, body).json["choices"][0]["text"], expected);
  body["echo"] = true;
  EXPECT_EQ(complete(server, body).json["choices"][0]["text"], text + expected);
  body["max_tokens"] = 0;
  const auto echoed = complete(server, body);
  EXPECT_EQ(echoed.json["choices"][0]["text"], text);
  EXPECT_EQ(echoed.json["choices"][0]["finish_reason"], "length");
}

TEST(ServeText, SeveralTextsAreSeveralChoicesAndAStreamIsTheSame) {
  const Served server(kSmall);
  Json body = {{"prompt", {"One two three", "The sea is"}},
               {"max_tokens", 6},
               {"temperature", 1.0},
               {"seed", 3},
               {"n", 2}};
  const auto whole = complete(server, body);
  ASSERT_EQ(whole.status, 200) << whole.json;
  ASSERT_EQ(whole.json["choices"].size(), 4U);
  EXPECT_NE(whole.json["choices"][2]["text"], whole.json["choices"][3]["text"]) << "two seeds";
  body["stream"] = true;
  const auto reply = server.client().Post("/v1/completions", body.dump(), "application/json");
  ASSERT_TRUE(reply);
  std::vector<std::string> texts(4);
  for (std::size_t at = reply->body.find("data: {"); at != std::string::npos;
       at = reply->body.find("data: {", at + 1)) {
    const Json event = Json::parse(reply->body.substr(at + 6, reply->body.find("\n\n", at) - at - 6));
    const Json& choice = event["choices"][0];
    texts.at(choice["index"].get<std::size_t>()) += choice["text"].get<std::string>();
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(texts[i], whole.json["choices"][i]["text"]) << i;
  EXPECT_TRUE(reply->body.ends_with("data: [DONE]\n\n"));
}

/// A figure of /metrics.
double metric(const Served& server, const std::string& name) {
  const std::string text = server.client().Get("/metrics")->body;
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
}

TEST(ServeText, TheChoicesOfATextAreDecodedTogetherFromOnePrefill) {
  Json body = {{"prompt", prose(150)}, {"max_tokens", 12}, {"temperature", 1.0}, {"seed", 3}, {"n", 4}};
  std::vector<std::string> exact = kSmall;
  exact.insert(exact.end(),
               {"--model", shallow_f32_model_path().string(), "--flash_attention", "off", "--parallel"});
  const auto with = [&](const char* n_parallel) {
    std::vector<std::string> words = exact;
    words.emplace_back(n_parallel);
    return words;
  };
  const auto alone = complete(Served(with("1")), body);
  const Served server(with("4"));
  const auto together = complete(server, body);
  ASSERT_EQ(together.status, 200) << together.json;
  EXPECT_EQ(together.json["choices"], alone.json["choices"]);
  EXPECT_EQ(together.json["usage"], alone.json["usage"]) << "a text counts once";
  EXPECT_EQ(together.json["usage"]["prompt_tokens"], 150);
  EXPECT_EQ(metric(server, "kvevict_steps_total"), 11) << "a token of each of four";
  EXPECT_EQ(metric(server, "kvevict_step_tokens_total"), 44);
}

TEST(ServeText, EachChoiceOfAnEchoHasTheProbabilitiesOfItsText) {
  const Served server(kSmall);
  Json body = {{"prompt", prose(40)}, {"max_tokens", 2}, {"echo", true},
               {"logprobs", 1},       {"seed", 5},       {"temperature", 1.0}};
  const auto one = complete(server, body);
  body["n"] = 3;
  const auto three = complete(server, body);
  ASSERT_EQ(three.status, 200) << three.json;
  const Json& wanted = one.json["choices"][0]["logprobs"];
  for (const Json& choice : three.json["choices"]) {
    const Json& logprobs = choice["logprobs"];
    EXPECT_EQ(logprobs["tokens"].size(), 42U);
    for (std::size_t i = 0; i < 40; ++i)
      EXPECT_EQ(logprobs["token_logprobs"][i], wanted["token_logprobs"][i]) << i;
  }
  EXPECT_EQ(three.json["choices"][0], one.json["choices"][0]);
}

TEST(ServeText, OneLimitHoldsForTextsAndConversations) {
  const Served server({"--strategy", kStrategy, "--chunk", "32", "--parallel", "2", "--kv_memory", "8MiB"});
  Json messages = Json::array();
  say(messages, "Tell me of the sea.");
  ASSERT_EQ(server.chat({{"messages", messages}, {"max_tokens", 4}}).status, 200);
  const auto reply = complete(server, {{"prompt", prose(150)}, {"max_tokens", 4}});
  ASSERT_EQ(reply.status, 200) << reply.json;
  EXPECT_EQ(reply.json["kvevict"]["cells"], server.get("/conversations").json["data"][0]["cells"])
      << "a place of the same pool";
  const auto refused = complete(server, {{"prompt", "a"}, {"kvevict", {{"strategy", "h2o:4:40:20"}}}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.json["error"]["param"], "kvevict.strategy") << refused.json;
}

TEST(ServeText, RefusesWhatItCannotDoByTheFieldsName) {
  const Served server(kSmall);
  const std::pair<const char*, const char*> cases[] = {
      {R"({"prompt":""})", "prompt"},
      {R"({"prompt":[]})", "prompt"},
      {R"({"prompt":[99999999]})", "prompt[0]"},
      {R"({"prompt":"a","suffix":"b"})", "suffix"},
      {R"({"prompt":"a","logprobs":true})", "logprobs"},
      {R"({"prompt":"a","stream":true,"echo":true})", "stream"},
      {R"({"prompt":"a","kvevict":{"conversation":"c"}})", "kvevict"},
      {R"({"prompt":"a","kvevict":{"strategy":"none"}})", "kvevict.strategy"},
      {R"({"prompt":"a","kvevict":{"strategy":"sink_recent:2000:60"}})", "kvevict.strategy"},
      {R"({"prompt":"a","messages":[]})", "messages"},
  };
  for (const auto& [body, field] : cases) {
    const auto reply = server.post("/v1/completions", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_EQ(reply.json["error"]["param"], field) << reply.json;
  }
}

}  // namespace
}  // namespace kvevict::test
