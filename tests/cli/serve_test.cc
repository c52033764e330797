// kvevict serve: conversations through the real server over loopback.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "support/served.h"

namespace kvevict::test {
namespace {

const std::vector<std::string> kSmall = {"--strategy", "sink_recent:16:112", "--chunk", "64"};

Json body_of(const Json& messages, int max_tokens = 8) {
  return {{"messages", messages}, {"max_tokens", max_tokens}};
}

TEST(ServeCommand, ASecondTurnDecodesOnlyWhatIsNew) {
  const Served server(kSmall);
  Json messages = Json::array();
  say(messages, "Tell me about the sea.");
  const auto first = server.chat(body_of(messages));
  ASSERT_EQ(first.status, 200) << first.json;
  EXPECT_EQ(first.json["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(first.json["usage"]["completion_tokens"], 8);
  EXPECT_EQ(first.json["choices"][0]["finish_reason"], "length");
  take_answer(messages, first);
  say(messages, "And the wind?");
  const auto second = server.chat(body_of(messages));
  const Json usage = second.json["usage"];
  EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"],
            first.json["usage"]["total_tokens"].get<int>() - 1);  // the last token waited
  EXPECT_LT(usage["prompt_tokens"].get<int>() - usage["prompt_tokens_details"]["cached_tokens"].get<int>(),
            20);
  EXPECT_EQ(second.json["kvevict"]["conversation"], first.json["kvevict"]["conversation"]);
}

TEST(ServeCommand, AStreamIsTheSameAnswerPieceByPiece) {
  const Served server(kSmall);
  Json messages = Json::array();
  say(messages, "Tell me about the sea.");
  const std::string whole = take_answer(messages, server.chat(body_of(messages, 12)));
  messages.erase(1);
  Json body = body_of(messages, 12);
  body["stream_options"] = {{"include_usage", true}};
  const std::vector<std::string> events = server.stream(body);
  ASSERT_GT(events.size(), 4U);
  EXPECT_EQ(events.back(), "data: [DONE]");
  std::string text, reason;
  Json usage;
  for (const std::string& event : events) {
    const Json chunk = Json::parse(event.substr(6), nullptr, false);
    if (chunk.is_discarded()) continue;
    if (chunk.contains("usage")) usage = chunk["usage"];
    if (chunk["choices"].empty()) continue;
    text += chunk["choices"][0]["delta"].value("content", "");
    if (chunk["choices"][0]["finish_reason"].is_string()) reason = chunk["choices"][0]["finish_reason"];
  }
  EXPECT_EQ(text, whole);
  EXPECT_EQ(reason, "length");
  EXPECT_EQ(usage["completion_tokens"], 12);
}

/// What a server with a window answers with HTTP 400: a history of more than twice the trained context.
TEST(ServeCommand, HistoriesGoOnFarPastTheContext) {
  std::vector<std::string> arguments = kSmall;
  arguments.insert(arguments.end(), {"--model", short_context_model_path().string()});
  const Served server(arguments);
  Json messages = Json::array();
  int n_prompt = 0;
  for (int turn = 0; turn < 40; ++turn) {
    say(messages, "Tell me about storm number " + std::to_string(turn) + " of that long winter.");
    const auto reply = server.chat(body_of(messages));
    ASSERT_EQ(reply.status, 200) << turn << ": " << reply.json;
    const Json usage = reply.json["usage"];
    n_prompt = usage["prompt_tokens"];
    EXPECT_LT(n_prompt - usage["prompt_tokens_details"]["cached_tokens"].get<int>(), 64) << turn;
    EXPECT_LE(reply.json["kvevict"]["kept"].get<int>(), 16 + 112 + 64) << turn;
    take_answer(messages, reply);
  }
  EXPECT_GT(n_prompt, 2 * 512);
  const auto list = server.get("/conversations").json["data"];
  ASSERT_EQ(list.size(), 1U);
  const std::string id = list[0]["id"];
  const auto shown = server.get("/conversations/" + id);
  EXPECT_EQ(shown.json["turns"], 40);
  EXPECT_NE(shown.json["text"].get<std::string>().find("[-"), std::string::npos);
  EXPECT_EQ(server.client().Delete("/conversations/" + id)->status, 200);
  EXPECT_EQ(server.get("/conversations/" + id).status, 404);
}

TEST(ServeCommand, AnswersAsChatDoes) {
  const std::vector<std::string> lines = {"Good morning.", "How is the sea today?", "And the wind?",
                                          "Who passed by?", "Good night."};
  std::vector<std::string> words = {"chat", "--model", shallow_model_path().string(), "--max_new_tokens",
                                    "16"};
  words.insert(words.end(), kSmall.begin(), kSmall.end());
  ProgramOptions options;
  for (const std::string& line : lines) options.input += line + "\n";
  const ProgramResult chat = run_kvevict(words, options);
  ASSERT_EQ(chat.exit_code, 0) << chat.err;
  const Served server(kSmall);
  Json messages = Json::array();
  std::string out;
  for (const std::string& line : lines) {
    say(messages, line);
    out += take_answer(messages, server.chat(body_of(messages, 16))) + "\n";
  }
  EXPECT_EQ(out, chat.out);
}

TEST(ServeCommand, EachRequestHasItsOwnForm) {
  const Served server(kSmall);
  Json messages = Json::array();
  say(messages, "Is the sea calm?");
  Json body = body_of(messages, 20);
  body["response_format"] = {{"type", "json_schema"},
                             {"json_schema", {{"name", "n"}, {"schema", {{"enum", {"yes", "no"}}}}}}};
  const std::string formed = take_answer(messages, server.chat(body));
  EXPECT_TRUE(formed == "\"yes\"" || formed == "\"no\"") << formed;
  messages.erase(1);
  const std::string plain = take_answer(messages, server.chat(body_of(messages, 20)));
  EXPECT_NE(plain, formed);
  messages.erase(1);
  body = body_of(messages, 20);
  body["stop"] = {plain.substr(4, 4)};
  const auto stopped = server.chat(body);
  EXPECT_EQ(take_answer(messages, stopped), plain.substr(0, plain.find(plain.substr(4, 4))));
  EXPECT_EQ(stopped.json["choices"][0]["finish_reason"], "stop");
}

TEST(ServeCommand, AConversationKeepsItsStrategy) {
  const Served server(kSmall);
  Json messages = Json::array();
  say(messages, "Hello.");
  Json body = body_of(messages, 2);
  body["kvevict"] = {{"conversation", "talk"}, {"strategy", "streaming_llm:4:60"}};
  const auto reply = server.chat(body);
  ASSERT_EQ(reply.status, 200) << reply.json;
  EXPECT_EQ(reply.json["kvevict"]["conversation"], "talk");
  EXPECT_TRUE(reply.json["kvevict"]["strategy"].get<std::string>().starts_with("streaming_llm"));
  body["kvevict"]["strategy"] = "sink_recent:4:60";
  const auto refused = server.chat(body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.json["error"]["message"].get<std::string>().find("streaming_llm"), std::string::npos);
  body["kvevict"] = {{"strategy", "sink_recent:4:5000"}};  // more than the server gives
  EXPECT_EQ(server.chat(body).status, 400);
  body["kvevict"] = {{"strategy", "no_such"}};
  EXPECT_EQ(server.chat(body).status, 400);
}

TEST(ServeCommand, WrongRequestsAreRefusedInOpenAIsForm) {
  const Served server(kSmall);
  const auto reply = server.post("/v1/chat/completions", "{");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["type"], "invalid_request_error");
  EXPECT_EQ(server.chat({{"messages", Json::array()}}).json["error"]["param"], "messages");
  EXPECT_EQ(server.get("/no/such/path").status, 404);
  const auto wrong_method = server.get("/v1/chat/completions");
  EXPECT_EQ(wrong_method.status, 405);
  EXPECT_EQ(wrong_method.headers.find("Allow")->second, "POST");
  const auto large = server.post("/v1/chat/completions", std::string((16U << 20U) + 1, ' '));
  EXPECT_EQ(large.status, 413);
  EXPECT_TRUE(large.json.contains("error")) << large.json;
  EXPECT_EQ(server.post("/detokenize", R"({"tokens":[999999]})").json["error"]["param"], "tokens[0]");
  EXPECT_EQ(server.post("/tokenize", R"({"content":"a","add_bos":true})").json["error"]["param"], "add_bos");
  const auto tokens = server.post("/tokenize", R"({"content":"hello <|im_end|>"})").json;
  EXPECT_GT(tokens["tokens"].size(), 3U);
  EXPECT_EQ(server.post("/detokenize", tokens.dump()).json["content"], "hello <|im_end|>");
  EXPECT_NE(server.post("/apply-template", R"({"messages":[{"role":"user","content":"hi"}]})")
                .json["prompt"]
                .get<std::string>()
                .find("<|im_start|>user\nhi"),
            std::string::npos);
  const std::string with_tool = R"({"messages":[{"role":"user","content":"hi"}],
                                    "tools":[{"type":"function","function":{"name":"add_up"}}]})";
  EXPECT_NE(server.post("/apply-template", with_tool).json["prompt"].get<std::string>().find("add_up"),
            std::string::npos);
  EXPECT_EQ(server.post("/apply-template", R"({"messages":[],"add_generation_prompt":false})")
                .json["error"]["param"],
            "add_generation_prompt");
  EXPECT_EQ(server.get("/health").json["status"], "ok");
  EXPECT_EQ(server.get("/v1/models").json["data"].size(), 1U);
  EXPECT_EQ(server.get("/models").json, server.get("/v1/models").json);
  EXPECT_EQ(server.post("/chat/completions", R"({"messages":[]})").json["error"]["param"], "messages");
  EXPECT_EQ(server.get("/props").json["live_conversations"], 4);
  EXPECT_EQ(server.client().Options("/v1/models")->get_header_value_count("Access-Control-Allow-Origin"), 0U);
}

TEST(ServeCommand, ThePageTakesNothingFromElsewhere) {
  const Served server(kSmall, {.environment = {"KVEVICT_API_KEY=secret"}});
  const auto page = server.client().Get("/");
  ASSERT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(page->get_header_value("Content-Security-Policy").find("connect-src 'self'"), std::string::npos);
  EXPECT_TRUE(page->body.ends_with("</html>\n"));
  EXPECT_EQ(page->body.find("http"), std::string::npos);
  EXPECT_EQ(page->body.find("secret"), std::string::npos);
  EXPECT_EQ(server.get("/v1/models").status, 401);
  EXPECT_EQ(server.get("/v1/models", "secret").status, 200);
}

TEST(ServeCommand, KeysKeepConversationsApart) {
  const std::string file = make_work_folder() + "/keys";
  std::ofstream(file) << "one\n\n two \r\n";
  const Served server({"--api_key_file", file, "--cors", "http://localhost:3000"});
  Json messages = Json::array();
  say(messages, "Hello.");
  const auto refused = server.chat(body_of(messages, 2));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.count("WWW-Authenticate"), 1U);
  EXPECT_EQ(server.chat(body_of(messages, 2), "three").status, 401);
  EXPECT_EQ(server.get("/metrics").status, 401);
  EXPECT_EQ(server.get("/health").status, 200);
  const auto mine = server.chat(body_of(messages, 2), "one"),
             other = server.chat(body_of(messages, 2), "two");
  ASSERT_EQ(mine.status, 200) << mine.json;
  ASSERT_EQ(other.status, 200) << other.json;
  EXPECT_NE(mine.json["kvevict"]["conversation"], other.json["kvevict"]["conversation"]);
  const std::string path = "/conversations/" + mine.json["kvevict"]["conversation"].get<std::string>();
  EXPECT_EQ(server.get(path, "two").status, 404);
  EXPECT_EQ(server.get(path, "one").status, 200);
  EXPECT_EQ(server.get("/conversations", "two").json["data"].size(), 1U);
}

TEST(ServeCommand, AnotherOriginsPagesMayAskWithTheHeadersThatOpenAIsPackageSends) {
  const Served server({"--cors", "http://localhost:3000"}, {.environment = {"KVEVICT_API_KEY=secret"}});
  const std::string wanted = "authorization,content-type,x-stainless-lang,x-stainless-retry-count";
  const auto preflight =
      server.client().Options("/v1/chat/completions", {{"Origin", "http://localhost:3000"},
                                                       {"Access-Control-Request-Method", "POST"},
                                                       {"Access-Control-Request-Headers", wanted}});
  EXPECT_EQ(preflight->status, 204);
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Origin"), "http://localhost:3000");
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Headers"), wanted);
  const auto refused = server.get("/v1/models");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.find("Access-Control-Allow-Origin")->second, "http://localhost:3000");
  EXPECT_EQ(refused.headers.find("Access-Control-Expose-Headers")->second, "Retry-After");
}

TEST(ServeCommand, AFullQueueAndAClientThatLeaves) {
  const Served server({"--queue", "0", "--parallel", "1"});
  Json messages = Json::array();
  say(messages, "Tell me a very long story.");
  Json body = body_of(messages, 60'000);
  bool was_refused = false;
  (void)server.stream(body, [&](const std::string&) {  // leaves with the first text
    const auto refused = server.chat(body_of(messages, 2));
    was_refused = refused.status == 503;
    EXPECT_EQ(refused.headers.count("Retry-After"), 1U);
    EXPECT_EQ(refused.json["error"]["code"], "queue_full");
    return false;
  });
  EXPECT_TRUE(was_refused);
  int status = 503;  // the story would take minutes; it ends with its client
  for (int i = 0; i < 1000 && status == 503; ++i) status = server.chat(body_of(messages, 2)).status;
  EXPECT_EQ(status, 200);
}

TEST(ServeCommand, SigtermLetsAnswersEnd) {
  Served server({"--drain_seconds", "60"});
  Json messages = Json::array();
  say(messages, "Tell me a story.");
  bool is_sent = false;
  const std::vector<std::string> events = server.stream(body_of(messages, 100), [&](const std::string&) {
    if (!std::exchange(is_sent, true)) server.program().send_signal(SIGTERM);
    return true;
  });
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back(), "data: [DONE]");
  EXPECT_EQ(server.program().wait().exit_code, 0);
}

TEST(ServeCommand, SigtermEndsWhatTakesTooLong) {
  Served server({"--drain_seconds", "0"});
  Json messages = Json::array();
  say(messages, "Tell me a story.");
  bool is_sent = false;
  const std::vector<std::string> events = server.stream(body_of(messages, 60'000), [&](const std::string&) {
    if (!std::exchange(is_sent, true)) server.program().send_signal(SIGTERM);
    return true;
  });
  ASSERT_FALSE(events.empty());
  EXPECT_NE(events.back().find("shutting down"), std::string::npos) << events.back();
  EXPECT_EQ(server.program().wait().exit_code, 0);
}

TEST(ServeCommand, AModelWithoutATemplateServesWhatItCan) {
  const Served server({"--model", tiny_model_path().string()});
  Json messages = Json::array();
  say(messages, "Hello.");
  const auto refused = server.chat(body_of(messages, 2));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.json["error"]["message"].get<std::string>().find("template"), std::string::npos)
      << refused.json;
  EXPECT_EQ(server.get("/v1/models").status, 200);
}

TEST(ServeCommand, BadFlagsAreOneSentence) {
  const Served server;
  const auto run = [](std::vector<std::string> more) {
    std::vector<std::string> words = {"serve", "--model", shallow_model_path().string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_kvevict(words);
  };
  const ProgramResult in_use = run({"--port", std::to_string(server.port())});
  EXPECT_EQ(in_use.exit_code, 1);
  EXPECT_NE(in_use.err.find("Address already in use"), std::string::npos) << in_use.err;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--port", "70000"},
                                             {"--parallel", "0"},
                                             {"--queue", "-1"},
                                             {"--drain_seconds", "-1"},
                                             {"--prefill", "full"},
                                             {"--strategy", "no_such"}}) {
    const ProgramResult result = run(words);
    EXPECT_EQ(result.exit_code, 2) << words[0] << ": " << result.err;
  }
  const ProgramResult store = run({"--store", make_work_folder() + "/store", "--store_limit", "much"});
  EXPECT_EQ(store.exit_code, 2);
  EXPECT_NE(store.err.find("the limit of the store is \"much\""), std::string::npos) << store.err;
  EXPECT_EQ(store.err.find("kv_memory"), std::string::npos) << store.err;
  EXPECT_EQ(run({"--api_key_file", "/no/such/file"}).exit_code, 1);
  const std::string empty = make_work_folder() + "/keys";
  std::ofstream(empty) << "\n";
  EXPECT_EQ(run({"--api_key_file", empty}).exit_code, 2);
  EXPECT_EQ(run({"--tls_key", empty}).exit_code, 2);
  EXPECT_EQ(run({"--tls_certificate", empty}).exit_code, 2);
  const ProgramResult certificate = run({"--port", "0", "--tls_certificate", empty, "--tls_key", empty});
  EXPECT_EQ(certificate.exit_code, 1);
  EXPECT_NE(certificate.err.find("the certificate " + empty + " cannot be used"), std::string::npos)
      << certificate.err;
  const ProgramResult dry = run({"--dry_run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_NE(dry.out.find("4 conversations, each in a place of 1280 cells in one pool"), std::string::npos)
      << dry.out;
}

TEST(ServeCommand, AnOpenDoorIsSaid) {
  Program program({"serve", "--model", shallow_model_path().string(), "--port", "0", "--host", "0.0.0.0"});
  EXPECT_TRUE(program.wait_for_stderr("listening on"));
  EXPECT_NE(program.stderr_text().find("whoever reaches"), std::string::npos) << program.stderr_text();
  program.send_signal(SIGINT);
  EXPECT_EQ(program.wait().exit_code, 0);
}

}  // namespace
}  // namespace kvevict::test
