// kvevict serve: many clients at once.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "support/served.h"

namespace kvevict::test {
namespace {

/// The same sums in their last bits or nearly: f32 weights and f32 K and V.
std::vector<std::string> exact(const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"--model",           shallow_f32_model_path().string(),
                                    "--kv_type",         "f32",
                                    "--flash_attention", "off",
                                    "--strategy",        "sink_recent:16:112",
                                    "--chunk",           "64"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Json body_of(const Json& messages, int max_tokens, const std::string& conversation = "") {
  Json body = {{"messages", messages}, {"max_tokens", max_tokens}};
  if (!conversation.empty()) body["kvevict"] = {{"conversation", conversation}};
  return body;
}

std::string content_of(const std::string& event) {
  const Json chunk = Json::parse(event.substr(6), nullptr, false);
  if (chunk.is_discarded() || !chunk.contains("choices") || chunk["choices"].empty()) return "";
  return chunk["choices"][0]["delta"].value("content", "");
}

/// A talk of three turns; what the model said.
std::vector<std::string> talk(const Served& server, const std::string& name, int number) {
  Json messages = Json::array();
  std::vector<std::string> said;
  for (int turn = 0; turn < 3; ++turn) {
    say(messages, "Tell me about storm " + std::to_string(10 * turn + number) + " of that long winter.");
    said.push_back(take_answer(messages, server.chat(body_of(messages, 20 + number, name))));
  }
  return said;
}

/// One batch sums in another order than one token alone, so that the last bits differ; none of these answers
/// has two best tokens that near to each other.
TEST(ServeTogether, EachOfManyIsAnsweredAsItIsAlone) {
  constexpr int kClients = 8;
  const Served server(exact({"--parallel", "8"}));
  std::vector<std::vector<std::string>> together(kClients);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i)
    clients.emplace_back(
        [&, i] { together[static_cast<std::size_t>(i)] = talk(server, "together-" + std::to_string(i), i); });
  for (std::thread& client : clients) client.join();
  const std::string metrics = server.client().Get("/metrics")->body;
  const auto count = [&](const std::string& name) {
    const std::size_t at = metrics.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(metrics.substr(at + name.size() + 2));
  };
  EXPECT_GT(count("kvevict_step_tokens_total"), 1.5 * count("kvevict_steps_total")) << "they had batches";
  EXPECT_EQ(count("kvevict_requests_running"), 0);
  EXPECT_EQ(count("kvevict_token_seconds_count"), count("kvevict_answer_tokens_total") - 24)
      << "each of 24 answers has one time less than tokens";
  for (int i = 0; i < kClients; ++i)
    EXPECT_EQ(talk(server, "alone-" + std::to_string(i), i), together[static_cast<std::size_t>(i)]) << i;
}

TEST(ServeTogether, ALongPromptComesInBetweenTheTokensOfOthers) {
  const Served server(exact({"--parallel", "2"}));
  Json messages = Json::array(), long_list = Json::array();
  say(messages, "Tell me a very long story.");
  std::string text;
  for (int i = 0; i < 250; ++i) text += "Wave number " + std::to_string(i) + " came in and went out again. ";
  say(long_list, text);
  std::atomic<bool> is_sent = false, has_begun = false;
  int n_meanwhile = 0, n_chunks = 0;
  std::thread other;
  (void)server.stream(body_of(messages, 60'000), [&](const std::string& event) {
    if (content_of(event).empty()) return true;
    if (!is_sent.exchange(true)) {
      other = std::thread([&] {
        const auto reply = server.chat(body_of(long_list, 1));
        n_chunks = reply.json["usage"]["prompt_tokens"].get<int>() / 64;
        has_begun = true;
      });
    }
    n_meanwhile += 1;
    return !has_begun;
  });
  other.join();
  EXPECT_GT(n_chunks, 30);
  EXPECT_GT(n_meanwhile, n_chunks / 3) << "pieces of text, which may be more than a token";
}

TEST(ServeTogether, AClientThatLeavesEndsItsAnswerAndNoOther) {
  const Served server(exact({"--parallel", "3"}));
  const std::vector<std::string> wanted = talk(server, "alone", 1);
  std::vector<std::thread> leaving;
  for (int i = 0; i < 2; ++i) {
    leaving.emplace_back([&] {
      Json messages = Json::array();
      say(messages, "Tell me a very long story.");
      int n = 0;
      (void)server.stream(body_of(messages, 60'000), [&](const std::string&) { return ++n < 10; });
    });
  }
  EXPECT_EQ(talk(server, "beside", 1), wanted);
  for (std::thread& client : leaving) client.join();
  Json messages = Json::array();
  say(messages, "Hello.");
  EXPECT_EQ(server.chat(body_of(messages, 2)).status, 200);
}

TEST(ServeTogether, RequestsOfOneConversationAreAnsweredInTheirOrder) {
  const Served server(exact({"--parallel", "4"}));
  Json messages = Json::array();
  say(messages, "Tell me a story.");
  std::thread second;
  bool is_sent = false;
  std::atomic<bool> is_over = false;
  (void)server.stream(body_of(messages, 40, "talk"), [&](const std::string& event) {
    if (event == "data: [DONE]") is_over = true;
    if (content_of(event).empty() || std::exchange(is_sent, true)) return true;
    second = std::thread([&] {
      Json again = messages;
      say(again, "Another one.");
      const auto reply = server.chat(body_of(again, 1, "talk"));
      EXPECT_EQ(reply.status, 200) << reply.json;
    });
    return true;
  });
  second.join();
  EXPECT_TRUE(is_over);
  EXPECT_EQ(server.get("/conversations/talk").json["turns"], 2);
}

TEST(ServeTogether, MemoryIsOneLimitForAll) {
  const auto run = [](std::vector<std::string> more) {
    std::vector<std::string> words = {"serve",     "--model", shallow_model_path().string(),
                                      "--dry_run", "--chunk", "64"};
    words.insert(words.end(), more.begin(), more.end());
    return run_kvevict(words);
  };
  const ProgramResult dry = run({"--kv_memory", "16MiB", "--parallel", "4"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_NE(dry.out.find("4 conversations, each in a place of"), std::string::npos) << dry.out;
  const auto mib_behind = [&](const std::string& name) {
    return std::stod(dry.out.substr(dry.out.find(name) + name.size()));
  };
  const double cells = mib_behind("all together"), copies = mib_behind("copies of turns  up to");
  EXPECT_GE(cells, 6.0);  // whole steps of 256 cells
  EXPECT_LE(cells, 8.0);
  EXPECT_LE(cells + copies, 16.0);
  const ProgramResult full = run({"--kv_memory", "16MiB", "--strategy", "full"});
  EXPECT_EQ(full.exit_code, 0) << full.err;
  EXPECT_NE(full.out.find("copies of turns  up to 0.0 MiB"), std::string::npos) << full.out;
  const ProgramResult small = run({"--kv_memory", "100KiB"});
  EXPECT_EQ(small.exit_code, 2);
  EXPECT_NE(small.err.find("--kv_memory 100KiB is too little for 4 conversations"), std::string::npos)
      << small.err;
  const ProgramResult small_full = run({"--kv_memory", "100KiB", "--strategy", "full"});
  EXPECT_EQ(small_full.exit_code, 2) << small_full.err;

  const Served server({"--kv_memory", "16MiB", "--strategy", "sink_recent:16:112", "--chunk", "64"});
  Json messages = Json::array();
  say(messages, "Hello.");
  const auto reply = server.chat(body_of(messages, 2));
  ASSERT_EQ(reply.status, 200) << reply.json;
  EXPECT_LE(reply.json["kvevict"]["bytes"].get<double>(), 2.0 * 1024 * 1024);
  Json body = body_of(messages, 2);
  body["kvevict"] = {{"strategy", "h2o:4:40:20"}};
  const auto refused = server.chat(body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.json["error"]["message"].get<std::string>().find("context of its own"), std::string::npos)
      << refused.json;
}

TEST(ServeTogether, WhatCannotBeInABatchIsSaidAndAnswered) {
  Served server({"--strategy", "h2o:4:60:20", "--chunk", "64"});
  EXPECT_NE(server.program().stderr_text().find("not decoded in one batch"), std::string::npos)
      << server.program().stderr_text();
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&, i] {
      Json messages = Json::array();
      say(messages, "Tell me about storm " + std::to_string(i) + ".");
      EXPECT_EQ(server.chat(body_of(messages, 8)).json["usage"]["completion_tokens"], 8);
    });
  }
  for (std::thread& client : clients) client.join();
}

/// Whether a connection to this port is there within ten seconds; it stays open.
bool connects(int port) {
  const int one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)connect(one, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  pollfd awaited{.fd = one, .events = POLLOUT, .revents = 0};
  int error = 1;
  socklen_t size = sizeof(error);
  return poll(&awaited, 1, 10'000) == 1 && getsockopt(one, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
         error == 0;
}

TEST(ServeTogether, ManyClientsMayComeBeforeOneIsAccepted) {
  Served server;
  server.program().send_signal(SIGSTOP);
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(connects(server.port())) << i;
  server.program().send_signal(SIGCONT);
  EXPECT_EQ(server.get("/health").status, 200);
}

}  // namespace
}  // namespace kvevict::test
