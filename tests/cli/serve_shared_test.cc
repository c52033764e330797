// kvevict serve --store_shared: several servers on one store.
#include <gtest/gtest.h>

#include <csignal>
#include <optional>

#include "support/served.h"
#include "support/work_folder.h"

namespace kvevict::test {
namespace {

class ServeShared : public testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> words(bool is_shared = true) const {
    std::vector<std::string> words = {"--strategy", "sink_recent:16:112", "--chunk", "64", "--store", store_};
    if (is_shared) words.emplace_back("--store_shared");
    return words;
  }

  std::string store_ = make_work_folder() + "/store";
};

TEST_F(ServeShared, AConversationOfAKilledServerGoesOnAtTheOther) {
  std::optional<Served> one(std::in_place, words());
  const Served two(words());
  Json sea = Json::array(), wind = Json::array();
  std::string id;
  int n_seen = 0;
  const auto go_on = [&](const Served& server, int number) {
    const auto reply = turn(server, sea, "Tell me about storm number " + std::to_string(number) + ".");
    if (n_seen > 0) {
      EXPECT_EQ(cached(reply), n_seen - 1) << "the newest token waited";
      EXPECT_EQ(reply.json["kvevict"]["conversation"], id);
    }
    id = reply.json["kvevict"]["conversation"];
    n_seen = reply.json["usage"]["total_tokens"];
    EXPECT_EQ(server.get("/conversations/" + id).json["turns"], number + 1);
  };
  for (int i = 0; i < 4; ++i) go_on(i % 2 == 0 ? *one : two, i);
  turn(*one, wind, "And the wind?", "wind");
  say(wind, "What will be lost?");
  (void)one->stream(
      {{"messages", wind}, {"max_tokens", 500}, {"kvevict", {{"conversation", "wind"}}}},
      [&](const std::string&) {  // in the middle of an answer
        const auto busy = two.chat({{"messages", wind}, {"kvevict", {{"conversation", "wind"}}}});
        EXPECT_EQ(busy.status, 409) << busy.json;
        EXPECT_EQ(busy.json["error"]["code"], "conversation_busy");
        EXPECT_EQ(busy.headers.count("Retry-After"), 1U);
        EXPECT_EQ(two.client().Delete("/conversations/wind")->status, 409);
        one->program().send_signal(SIGKILL);
        one->program().wait();
        return false;
      });
  wind.erase(wind.size() - 1);
  EXPECT_GT(cached(turn(two, wind, "Are you still there?", "wind")), 20);
  go_on(two, 4);
  one.emplace(words());
  go_on(*one, 5);
  go_on(two, 6);
  EXPECT_EQ(one->get("/conversations").json["data"].size(), 2U);
}

TEST_F(ServeShared, AStoreIsSharedByAllOrByNone) {
  const auto refusal = [&](bool is_shared) {
    std::vector<std::string> all = words(is_shared);
    all.insert(all.begin(), {"serve", "--port", "0"});
    return run_kvevict(all);
  };
  {
    const Served server(words());
    const ProgramResult alone = refusal(false);
    EXPECT_EQ(alone.exit_code, 1);
    EXPECT_NE(alone.err.find("another process"), std::string::npos) << alone.err;
  }
  const Served server(words(false));
  EXPECT_EQ(refusal(true).exit_code, 1);
  const ProgramResult without = run_kvevict({"serve", "--store_shared"});
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_NE(without.err.find("--store names one"), std::string::npos) << without.err;
}

}  // namespace
}  // namespace kvevict::test
