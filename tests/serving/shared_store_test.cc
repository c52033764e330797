// Several stores on one folder, without a model: who has the lease of a conversation, and what the others
// see.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>
#include <optional>
#include <random>

#include "base/atomic_file.h"
#include "kvevict/error.h"
#include "serving/conversation_store.h"
#include "support/work_folder.h"

namespace kvevict::serving {
namespace {

namespace fs = std::filesystem;
using Lease = ConversationStore::Lease;

const ConversationName kSea{"o", "sea"};

class SharedStoreTest : public testing::Test {
 protected:
  [[nodiscard]] StoreOptions options(bool is_shared = true) const {
    return {.folder = folder_, .n_most_bytes = 1 << 20, .model_sha256 = "m", .is_shared = is_shared};
  }

  static ConversationStore::Kept put(ConversationStore& store, const ConversationName& name,
                                     const std::string& said) {
    return store.put({.owner = name.first, .id = name.second, .messages = {{{"user", said}}}},
                     [&](const fs::path& file) { write_file_atomically(file, said); });
  }

  static std::string state_of(ConversationStore& store, const ConversationName& name) {
    const auto path = store.file_of(name.first, name.second);
    if (!path) return "nothing";
    std::ifstream file(*path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  [[nodiscard]] std::size_t n_files(const std::string& folder = "states") const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_ / folder), fs::directory_iterator()));
  }

  fs::path folder_ = fs::path(test::make_work_folder()) / "store";
};

TEST_F(SharedStoreTest, IsForThoseAloneWhoSayThatTheyShareIt) {
  {
    ConversationStore one(options()), two(options());
    EXPECT_THROW(ConversationStore{options(false)}, Error);
  }
  {
    ConversationStore alone(options(false));
    try {
      const ConversationStore shared(options());
      FAIL();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("--store_shared"), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(n_files("servers"), 0U);
}

TEST_F(SharedStoreTest, ALeaseIsOneServersUntilItPutsOrReleases) {
  ConversationStore one(options()), two(options());
  EXPECT_EQ(one.lease(kSea, ""), Lease::kTaken);
  EXPECT_EQ(two.lease(kSea, ""), Lease::kElsewhere);
  EXPECT_EQ(two.lease({"other", "sea"}, ""), Lease::kTaken);
  const std::string revision = put(one, kSea, "first").revision;
  EXPECT_EQ(two.lease(kSea, ""), Lease::kChanged);
  EXPECT_EQ(two.find(kSea)->revision, revision);
  EXPECT_EQ(two.lease(kSea, revision), Lease::kTaken);
  EXPECT_FALSE(one.remove("o", "sea")) << "it is being answered";
  two.release(kSea);
  EXPECT_EQ(one.lease(kSea, revision), Lease::kTaken) << "nothing has changed";
  one.release(kSea);
  EXPECT_TRUE(two.remove("o", "sea"));
  EXPECT_EQ(one.lease(kSea, revision), Lease::kChanged);
  EXPECT_FALSE(one.find(kSea));
}

TEST_F(SharedStoreTest, WhoWasTakenForDeadPutsNothing) {
  ConversationStore one(options()), two(options());
  EXPECT_EQ(one.lease(kSea, ""), Lease::kTaken);
  Database(folder_ / "index.sqlite", true).run("DELETE FROM leases");
  EXPECT_EQ(two.lease(kSea, ""), Lease::kTaken);
  put(two, kSea, "two's");
  try {
    put(one, kSea, "one's");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), kElsewhereField);
  }
  EXPECT_EQ(state_of(one, kSea), "two's");
  EXPECT_EQ(n_files(), 1U);
}

TEST_F(SharedStoreTest, TheLeasesOfAServerThatWasKilledAreFree) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = fork();
  if (child == 0) {
    ConversationStore store(options());
    const char byte = store.lease(kSea, "") == Lease::kTaken ? 'y' : 'n';
    std::ofstream(
        folder_ / "states" /
        (fs::directory_iterator(folder_ / "servers")->path().filename().string() + "-7.kv.unfinished"))
        << "half of a state";
    if (write(pipe[1], &byte, 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(pipe[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  ConversationStore store(options());
  EXPECT_EQ(n_files(), 1U) << "its server is alive";
  EXPECT_EQ(store.lease(kSea, ""), Lease::kElsewhere);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(store.lease(kSea, ""), Lease::kTaken);
  put(store, kSea, "goes on");
  const ConversationStore later(options());
  EXPECT_EQ(n_files(), 1U) << "what it left is gone";
  EXPECT_EQ(n_files("servers"), 2U);
}

TEST_F(SharedStoreTest, TheLimitTakesNothingThatAnotherServerAnswers) {
  StoreOptions small = options();
  small.n_most_bytes = 10;
  ConversationStore one(small), two(small);
  ASSERT_EQ(one.lease(kSea, ""), Lease::kTaken);
  const std::string revision = put(one, kSea, "12345").revision;
  ASSERT_EQ(two.lease(kSea, revision), Lease::kTaken);
  for (const std::string id : {"a", "b"}) {
    ASSERT_EQ(one.lease({"o", id}, ""), Lease::kTaken);
    const auto kept = put(one, {"o", id}, "12345");
    if (id == "b") {
      ASSERT_EQ(kept.gone.size(), 1U);
      EXPECT_EQ(kept.gone[0], (ConversationName{"o", "a"}));
    }
  }
  EXPECT_EQ(state_of(two, kSea), "12345");
}

/// Any sequence of three servers that answer four conversations, start and are killed, against a list that
/// anybody can read.
TEST_F(SharedStoreTest, HoldsForRandomSequences) {
  struct Truth {
    std::string revision{}, said{};
    int holder = -1;
  };
  struct Server {
    std::optional<ConversationStore> store{};
    std::map<ConversationName, std::string> known{};  // revisions
    bool has_missed = false;                          // what others did since it asked last
  };
  std::mt19937 random(11);
  const auto draw = [&](std::size_t n) { return random() % n; };
  std::map<ConversationName, Truth> truth;
  for (const char* id : {"a", "b", "c", "d"}) truth[{"o", id}] = {};
  Server servers[3];
  int n_said = 0, n_taken = 0, n_elsewhere = 0, n_changed = 0;
  for (int step = 0; step < 700; ++step) {
    const int number = static_cast<int>(draw(3));
    Server& server = servers[number];
    if (!server.store) {
      server.store.emplace(options());
      server.known.clear();
      server.has_missed = true;
      for (const StoredConversation& one : server.store->all())
        server.known[{one.owner, one.id}] = one.revision;
      continue;
    }
    auto it = truth.begin();
    std::advance(it, draw(truth.size()));
    const ConversationName& name = it->first;
    Truth& one = it->second;
    const bool is_elsewhere = one.holder >= 0 && one.holder != number && servers[one.holder].store;
    const auto tell_others = [&] {
      for (Server& other : servers) other.has_missed = other.has_missed || &other != &server;
    };
    switch (draw(12)) {
      case 0:
        server.store.reset();  // its leases stay in the index, as behind a kill
        for (auto& [each, held] : truth) held.holder = held.holder == number ? -1 : held.holder;
        break;
      case 1:
        server.store->release(name);
        if (one.holder == number) one.holder = -1;
        break;
      case 2: {
        ASSERT_EQ(server.store->remove(name.first, name.second), !is_elsewhere) << step;
        if (is_elsewhere || one.revision.empty()) break;
        tell_others();
        one.revision = one.said = server.known[name] = "";
        break;
      }
      case 3: {
        const auto all = server.store->revisions_if_changed();
        if (!all) {
          ASSERT_FALSE(server.has_missed) << step;
          break;
        }
        server.has_missed = false;
        std::map<ConversationName, std::string> stored(all->begin(), all->end());
        for (const auto& [each, wanted] : truth) ASSERT_EQ(stored[each], wanted.revision) << step;
        break;
      }
      case 4:
      case 5:
      case 6:
      case 7: {
        const Lease lease = server.store->lease(name, server.known[name]);
        const bool is_current = server.known[name] == one.revision;
        ASSERT_EQ(lease, is_elsewhere ? Lease::kElsewhere
                         : is_current ? Lease::kTaken
                                      : Lease::kChanged)
            << step;
        if (lease == Lease::kTaken) one.holder = number;
        if (lease == Lease::kChanged) {
          const auto found = server.store->find(name);
          server.known[name] = found ? found->revision : "";
          ASSERT_EQ(server.known[name], one.revision) << step;
          if (found) {
            ASSERT_EQ(found->messages.front().message.content, one.said);
          }
          if (!is_elsewhere) one.holder = -1;
        }
        n_taken += lease == Lease::kTaken ? 1 : 0;
        n_elsewhere += lease == Lease::kElsewhere ? 1 : 0;
        n_changed += lease == Lease::kChanged ? 1 : 0;
        break;
      }
      default: {
        const std::string said = "said " + std::to_string(++n_said);
        if (one.holder != number) {
          ASSERT_THROW(put(*server.store, name, said), Error) << step;
          break;
        }
        one = {.revision = put(*server.store, name, said).revision, .said = said};
        server.known[name] = one.revision;
        tell_others();
      }
    }
    std::size_t n_stored = 0;
    for (const auto& [each, wanted] : truth) {
      n_stored += wanted.said.empty() ? 0 : 1;
      if (server.store && !wanted.said.empty()) {
        ASSERT_EQ(state_of(*server.store, each), wanted.said) << step;
      }
    }
    ASSERT_EQ(n_files(), n_stored) << step;
  }
  EXPECT_GT(n_taken, 50);
  EXPECT_GT(n_elsewhere, 10);
  EXPECT_GT(n_changed, 10);
}

}  // namespace
}  // namespace kvevict::serving
