// kvevict serve --store: conversations that outlive their server.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "support/served.h"
#include "support/work_folder.h"

namespace kvevict::test {
namespace {

const std::vector<std::string> kSmall = {"--strategy", "sink_recent:16:112", "--chunk",
                                         "64",         "--parallel",         "1"};

class ServeStore : public testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> with_store(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = kSmall;
    words.insert(words.end(), {"--store", store_});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::string store_ = make_work_folder() + "/store";
};

TEST_F(ServeStore, EveryAcknowledgedTurnOutlivesAKill) {
  Json sea = Json::array(), wind = Json::array();
  std::string id;
  int n_seen = 0;
  for (int kill_number = 0; kill_number < 3; ++kill_number) {
    Served server(with_store());
    if (kill_number > 0) {
      const auto listed = server.get("/conversations").json["data"];
      ASSERT_EQ(listed.size(), 2U);
      for (const Json& one : listed) EXPECT_FALSE(one["live"]);
      EXPECT_EQ(server.get("/conversations/" + id).json["turns"], kill_number * 2);
    }
    for (int i = 0; i < 2; ++i) {
      const auto reply = turn(server, sea, "Tell me about storm number " + std::to_string(i) + ".");
      if (n_seen > 0) {
        EXPECT_EQ(cached(reply), n_seen - 1) << "the newest token waited";
        EXPECT_EQ(reply.json["kvevict"]["conversation"], id);
      }
      id = reply.json["kvevict"]["conversation"];
      n_seen = reply.json["usage"]["total_tokens"];
      turn(server, wind, "And the wind, for the time number " + std::to_string(i) + "?");
    }
    // In the middle of an answer that nobody acknowledged.
    Json unheard = sea;
    say(unheard, "What will be lost?");
    server.stream({{"messages", unheard}, {"max_tokens", 200}}, [&](const std::string& event) {
      return event.find("content") == std::string::npos ||
             event.find("\"content\":\"\"") != std::string::npos;
    });
    server.program().send_signal(SIGKILL);
    server.program().wait();
  }
}

TEST_F(ServeStore, ATurnIsThereBehindAnOrderlyEnd) {
  Json messages = Json::array();
  {
    Served server(with_store());
    turn(server, messages, "Tell me about the sea.");
    server.program().send_signal(SIGTERM);
    EXPECT_EQ(server.program().wait().exit_code, 0);
  }
  const Served server(with_store());
  EXPECT_GT(cached(turn(server, messages, "And the wind?")), 20);
  EXPECT_EQ(server.get("/conversations").json["data"].size(), 1U);
}

TEST_F(ServeStore, AFullDiskIsSaidOnceAndAnswersGoOn) {
  Json messages = Json::array();
  std::string err, id;
  const auto limit_files = [](const Served& server, rlim_t n_bytes) {
    const rlimit limit{.rlim_cur = n_bytes, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(prlimit(server.program().pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
  };
  {
    Served server(with_store());
    turn(server, messages, "Tell me about the sea.");
    limit_files(server, 1 << 16);
    for (int i = 0; i < 3; ++i) EXPECT_GT(cached(turn(server, messages, "And the wind?")), 0);
    limit_files(server, RLIM_INFINITY);
    id = turn(server, messages, "And the sand?").json["kvevict"]["conversation"];
    server.program().send_signal(SIGKILL);
    err = server.program().wait().err;
  }
  const std::string said = "kvevict: the store: ";
  const std::size_t at = err.find(said);
  EXPECT_NE(at, std::string::npos) << err;
  EXPECT_EQ(err.find(said, at + 1), std::string::npos) << err;
  EXPECT_EQ(Served(with_store()).get("/conversations/" + id).json["turns"], 5);
}

TEST_F(ServeStore, WhatCannotBeStoredIsRefusedInOneSentence) {
  const auto refusal = [](const std::vector<std::string>& words) {
    std::vector<std::string> all = {"serve", "--port", "0"};
    all.insert(all.end(), words.begin(), words.end());
    return run_kvevict(all);
  };
  const ProgramResult by_attention = refusal({"--store", store_, "--strategy", "tova:0:1:127"});
  EXPECT_EQ(by_attention.exit_code, 2);
  EXPECT_NE(by_attention.err.find("cannot store"), std::string::npos) << by_attention.err;
  const ProgramResult alone = refusal({"--store_limit", "1GiB"});
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_NE(alone.err.find("--store names one"), std::string::npos) << alone.err;
  const Served server(with_store());
  const ProgramResult second = refusal(with_store());
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.err.find("another process"), std::string::npos) << second.err;
  const auto reply = server.chat({{"messages", Json::array({{{"role", "user"}, {"content", "Hello"}}})},
                                  {"kvevict", {{"strategy", "tova:0:1:100"}}}});
  EXPECT_EQ(reply.status, 400) << reply.json;
  EXPECT_EQ(reply.json["error"]["param"], "kvevict.strategy");
}

TEST_F(ServeStore, AStoreOfAnotherModelIsRefused) {
  { const Served server(with_store()); }
  std::vector<std::string> words = with_store({"--model", short_context_model_path().string()});
  words.insert(words.begin(), {"serve", "--port", "0"});
  const ProgramResult result = run_kvevict(words);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("another model"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvevict::test
