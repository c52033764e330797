// kvevict serve: fields of a request beside its messages, through the real server over loopback.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "engine/template_format.h"
#include "support/served.h"
#include "support/work_folder.h"

namespace kvevict::test {
namespace {

const std::vector<std::string> kRoomy = {"--strategy", "sink_recent:16:496", "--chunk", "64"};

Json question(int max_tokens = 8) {
  return {{"messages", {{{"role", "user"}, {"content", "Tell me about the sea."}}}},
          {"max_tokens", max_tokens},
          {"temperature", 1.0},
          {"seed", 7}};
}

Json with_functions(Json body) {
  body["tools"] = {{{"type", "function"},
                    {"function",
                     {{"name", "look_up"},
                      {"parameters",
                       {{"type", "object"},
                        {"properties", {{"word", {{"type", "string"}, {"maxLength", 8}}}}},
                        {"required", {"word"}}}}}}}};
  body["max_tokens"] = 80;
  return body;
}

/// A stream's choices put together: content, arguments of calls, how each ended, and its tokens'
/// probabilities.
struct Streamed {
  std::string content{}, arguments{}, name{}, reason{};
  std::size_t n_logprobs = 0;
};

std::map<int, Streamed> streamed(const std::vector<std::string>& events) {
  std::map<int, Streamed> choices;
  for (const std::string& event : events) {
    const Json chunk = Json::parse(event.substr(6), nullptr, false);
    if (chunk.is_discarded()) continue;
    for (const Json& choice : chunk.at("choices")) {
      Streamed& one = choices[choice.at("index").get<int>()];
      const Json& delta = choice.at("delta");
      one.content += delta.value("content", "");
      for (const Json& call : delta.value("tool_calls", Json::array())) {
        one.arguments += call.at("function").value("arguments", "");
        one.name += call.at("function").value("name", "");
      }
      if (choice.at("finish_reason").is_string()) one.reason = choice.at("finish_reason");
      if (choice.at("logprobs").is_object()) one.n_logprobs += choice.at("logprobs").at("content").size();
    }
  }
  return choices;
}

TEST(ServeFields, SeveralAnswersHaveSeedsOfTheirOwn) {
  const Served server(kRoomy);
  Json body = question();
  body["n"] = 3;
  const auto reply = server.chat(body);
  ASSERT_EQ(reply.status, 200) << reply.json;
  ASSERT_EQ(reply.json["choices"].size(), 3U);
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 24);
  EXPECT_EQ(reply.json["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const std::map<int, Streamed> choices = streamed(server.stream(body));
  ASSERT_EQ(choices.size(), 3U);
  for (int i = 0; i < 3; ++i) {
    Json alone = question();
    alone["seed"] = 7 + i;
    const Json content = server.chat(alone).json["choices"][0]["message"]["content"];
    EXPECT_EQ(reply.json["choices"][i]["index"], i);
    EXPECT_EQ(reply.json["choices"][i]["message"]["content"], content);
    EXPECT_EQ(choices.at(i).content, content);
    EXPECT_EQ(choices.at(i).reason, "length");
  }
  EXPECT_EQ(server.get("/conversations").json["data"].size(), 1U);
}

TEST(ServeFields, ProbabilitiesAreThoseOfTheTokensOfTheAnswer) {
  const Served server(kRoomy);
  Json body = question();
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const auto reply = server.chat(body);
  ASSERT_EQ(reply.status, 200) << reply.json;
  const Json choice = reply.json["choices"][0];
  ASSERT_EQ(choice["logprobs"]["content"].size(), 8U);
  std::string text;
  for (const Json& token : choice["logprobs"]["content"]) {
    text += token["token"];
    EXPECT_LE(token["logprob"], 0);
    EXPECT_EQ(token["top_logprobs"].size(), 2U);
    EXPECT_GE(token["top_logprobs"][0]["logprob"], token["logprob"]);
  }
  EXPECT_EQ(text, choice["message"]["content"]);
  EXPECT_EQ(streamed(server.stream(body)).at(0).n_logprobs, 8U);
  EXPECT_TRUE(server.chat(question()).json["choices"][0]["logprobs"].is_null());
}

TEST(ServeFields, PenaltiesAndBiasesChangeTheAnswer) {
  const Served server(kRoomy);
  const auto content_with = [&](const char* field, const Json& value) {
    Json body = question(24);
    body["temperature"] = 0;
    if (field != nullptr) body[field] = value;
    const auto reply = server.chat(body);
    EXPECT_EQ(reply.status, 200) << reply.json;
    return reply.json["choices"][0]["message"]["content"].get<std::string>();
  };
  const std::string plain = content_with(nullptr, {});
  EXPECT_NE(content_with("frequency_penalty", 2), plain);
  EXPECT_NE(content_with("presence_penalty", 2), plain);
  const Json tokens = server.post("/tokenize", Json{{"content", plain}}.dump()).json["tokens"];
  EXPECT_NE(content_with("logit_bias", {{std::to_string(tokens[0].get<int>()), -100}}), plain);
  Json body = question();
  body["logit_bias"] = {{"49152", 1}};
  EXPECT_EQ(server.chat(body).json["error"]["param"], "logit_bias");
}

TEST(ServeFields, ACallComesBackAndIsNotDecodedAgain) {
  if (!reads_tool_calls()) GTEST_SKIP() << "built without llama.cpp's reader of answers";
  const Served server(kRoomy);
  Json body = with_functions(question());
  body["tool_choice"] = "required";
  int n_seen = 0;
  for (int turn = 0; turn < 3; ++turn) {
    const auto reply = server.chat(body);
    ASSERT_EQ(reply.status, 200) << reply.json;
    const Json choice = reply.json["choices"][0];
    ASSERT_EQ(choice["finish_reason"], "tool_calls") << choice;
    ASSERT_EQ(choice["message"]["tool_calls"].size(), 1U);
    const Json call = choice["message"]["tool_calls"][0];
    EXPECT_EQ(call["function"]["name"], "look_up");
    EXPECT_TRUE(Json::parse(call["function"]["arguments"].get<std::string>()).at("word").is_string());
    EXPECT_GE(reply.json["usage"]["prompt_tokens_details"]["cached_tokens"], n_seen - 1) << turn;
    n_seen = reply.json["usage"]["total_tokens"];
    body["messages"].push_back(choice["message"]);
    body["messages"].push_back({{"role", "tool"}, {"tool_call_id", call["id"]}, {"content", "a wave"}});
  }
  EXPECT_EQ(server.get("/conversations").json["data"].size(), 1U);
}

TEST(ServeFields, AStreamedCallIsTheSameCall) {
  if (!reads_tool_calls()) GTEST_SKIP() << "built without llama.cpp's reader of answers";
  const Served server(kRoomy);
  Json body = with_functions(question());
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "look_up"}}}};
  const Json whole = server.chat(body).json["choices"][0]["message"]["tool_calls"][0]["function"];
  const Streamed parts = streamed(server.stream(body)).at(0);
  EXPECT_EQ(parts.name, "look_up");
  EXPECT_EQ(parts.arguments, whole["arguments"]);
  EXPECT_EQ(parts.content, "");
  EXPECT_EQ(parts.reason, "tool_calls");
}

TEST(ServeFields, FunctionsThatCannotBeFollowedAreRefused) {
  if (!reads_tool_calls()) GTEST_SKIP() << "built without llama.cpp's reader of answers";
  const Served server(kRoomy);
  Json body = with_functions(question());
  body["tools"][0]["function"]["parameters"]["type"] = "no such type";
  body["tool_choice"] = "required";
  const auto reply = server.chat(body);
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["param"], "tools") << reply.json;
}

// By a template that opens the thoughts itself; this model never ends them.
TEST(ServeFields, ThoughtsAreApartFromTheContent) {
  if (!reads_tool_calls()) GTEST_SKIP() << "built without llama.cpp's reader of answers";
  const std::filesystem::path file = std::filesystem::path(make_work_folder()) / "thinking.jinja";
  std::ofstream(file)
      << "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.reasoning_content %}"
         "{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}"
         "{{- m.content + '<|im_end|>\\n' }}{%- endfor %}"
         "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}";
  std::vector<std::string> arguments = kRoomy;
  arguments.insert(arguments.end(), {"--chat_template", file.string()});
  const Served server(arguments);
  Json body = question(12);
  const Json apart = server.chat(body).json["choices"][0]["message"];
  EXPECT_EQ(apart["content"], "");
  EXPECT_FALSE(apart.value("reasoning_content", "").empty()) << apart;
  std::string reasoning;
  for (const std::string& event : server.stream(body)) {
    const Json chunk = Json::parse(event.substr(6), nullptr, false);
    if (!chunk.is_discarded()) reasoning += chunk["choices"][0]["delta"].value("reasoning_content", "");
  }
  EXPECT_EQ(reasoning, apart.value("reasoning_content", ""));
  body["reasoning_format"] = "none";
  const Json together = server.chat(body).json["choices"][0]["message"];
  EXPECT_FALSE(together.contains("reasoning_content")) << together;
  EXPECT_NE(together["content"], "");
  const Json back = {{"messages",
                      {{{"role", "user"}, {"content", "a"}},
                       {{"role", "assistant"}, {"content", "b"}, {"reasoning_content", "Hm."}},
                       {{"role", "user"}, {"content", "c"}}}}};
  const auto prompt = server.post("/apply-template", back.dump());
  EXPECT_NE(prompt.json["prompt"].get<std::string>().find("<think>\nHm.\n</think>\n\nb<|im_end|>"),
            std::string::npos)
      << prompt.json;
}

}  // namespace
}  // namespace kvevict::test
