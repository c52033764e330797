// Conversations on a disk, without a model: their states are texts here.
#include "serving/conversation_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>
#include <random>

#include "base/atomic_file.h"
#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict::serving {
namespace {

namespace fs = std::filesystem;

StoredConversation talk(const std::string& id, const std::string& said, const std::string& owner = "o") {
  return {.owner = owner, .id = id, .messages = {{{"user", said}}, {{"assistant", "Yes."}}}};
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ConversationStoreTest : public testing::Test {
 protected:
  [[nodiscard]] ConversationStore open(std::int64_t n_most_bytes = 1000,
                                       const std::string& model = "m") const {
    return ConversationStore({.folder = folder_, .n_most_bytes = n_most_bytes, .model_sha256 = model});
  }

  static std::vector<ConversationStore::Name> put(ConversationStore& store,
                                                  const StoredConversation& conversation,
                                                  const std::string& state) {
    return store.put(conversation, [&](const fs::path& file) { write_file_atomically(file, state); }).gone;
  }

  [[nodiscard]] std::size_t n_files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_ / "states"), fs::directory_iterator()));
  }

  [[nodiscard]] Error refusal_of(const std::string& model = "m") const {
    try {
      (void)open(1000, model);
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kEngine, "nothing was refused"};
  }

  fs::path folder_ = fs::path(test::make_work_folder()) / "store";
};

TEST_F(ConversationStoreTest, KeepsWhatWasPutLastBehindTheEndOfItsProcess) {
  {
    ConversationStore store = open();
    EXPECT_TRUE(put(store, talk("a", "Hello?"), "first").empty());
    StoredConversation named = talk("b", "A \"quote\",\nand \xC3\xA4 line.");
    named.is_named = true;
    named.strategy = "sink_recent:4:60";
    EXPECT_TRUE(put(store, named, "other").empty());
    EXPECT_TRUE(put(store, talk("a", "Still there?"), "second").empty());
  }
  ConversationStore store = open();
  const std::vector<StoredConversation> all = store.all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].id, "b") << "used longest ago";
  EXPECT_TRUE(all[0].is_named);
  EXPECT_EQ(all[0].strategy, "sink_recent:4:60");
  EXPECT_EQ(all[0].messages[0].message.content, "A \"quote\",\nand \xC3\xA4 line.");
  EXPECT_EQ(all[1].messages[0].message.content, "Still there?");
  EXPECT_EQ(all[1].messages[1].message.role, "assistant");
  EXPECT_EQ(content_of(*store.file_of("o", "a")), "second");
  EXPECT_EQ(n_files(), 2U);
  EXPECT_EQ(store.n_bytes(), 11);
}

TEST_F(ConversationStoreTest, AnOwnerNeverSeesAnothersConversation) {
  ConversationStore store = open();
  put(store, talk("a", "Mine.", "me"), "mine");
  put(store, talk("a", "Yours.", "you"), "yours");
  EXPECT_EQ(content_of(*store.file_of("me", "a")), "mine");
  EXPECT_FALSE(store.file_of("nobody", "a"));
  store.remove("you", "a");
  EXPECT_TRUE(store.file_of("me", "a"));
}

TEST_F(ConversationStoreTest, TheOneUsedLongestAgoGoesBeyondTheLimit) {
  ConversationStore store = open(10);
  put(store, talk("a", "1"), "12345");
  put(store, talk("b", "2"), "12345");
  put(store, talk("a", "3"), "12345");
  const auto gone = put(store, talk("c", "4"), "1234");
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0], (ConversationStore::Name{"o", "b"}));
  const auto all_gone = put(store, talk("d", "5"), "123456789012");
  EXPECT_EQ(all_gone.back(), (ConversationStore::Name{"o", "d"})) << "alone it is too large";
  EXPECT_EQ(store.n_bytes(), 0);
  EXPECT_EQ(n_files(), 0U);
}

TEST_F(ConversationStoreTest, AStateThatCannotBeWrittenLeavesTheOneBefore) {
  ConversationStore store = open();
  put(store, talk("a", "1"), "before");
  EXPECT_THROW(store.put(talk("a", "2"),
                         [](const fs::path& file) {
                           std::ofstream(file) << "half of";
                           throw Error(ErrorCode::kIo, "the disk is full");
                         }),
               Error);
  EXPECT_EQ(content_of(*store.file_of("o", "a")), "before");
  EXPECT_EQ(store.all()[0].messages[0].message.content, "1");
  EXPECT_EQ(n_files(), 1U);
}

TEST_F(ConversationStoreTest, WhatNoIndexNamesGoesAtTheNextStart) {
  {
    ConversationStore store = open();
    put(store, talk("a", "1"), "state of a");
    put(store, talk("b", "2"), "state of b");
    fs::remove(*store.file_of("o", "b"));
  }
  std::ofstream(folder_ / "states" / "77.kv") << "of a process that was killed";
  ConversationStore store = open();
  EXPECT_EQ(n_files(), 1U);
  ASSERT_EQ(store.all().size(), 1U);
  EXPECT_EQ(store.all()[0].id, "a");
}

TEST_F(ConversationStoreTest, RefusesAnotherModelAnotherProcessAndADamagedIndex) {
  {
    ConversationStore store = open();
    put(store, talk("a", "1"), "state");
    EXPECT_EQ(refusal_of().code(), ErrorCode::kIo);
    EXPECT_NE(std::string(refusal_of().what()).find("another process"), std::string::npos);
  }
  EXPECT_EQ(refusal_of("other").code(), ErrorCode::kBadData);
  EXPECT_NE(std::string(refusal_of("other").what()).find("another model"), std::string::npos);
  EXPECT_EQ(open().all().size(), 1U) << "what was refused has changed nothing";
  std::ofstream(folder_ / "index.sqlite") << std::string(5000, 'x');
  EXPECT_EQ(refusal_of().code(), ErrorCode::kBadData);
}

TEST_F(ConversationStoreTest, MessagesThatCannotBeReadAreSaid) {
  ConversationStore store = open();
  put(store, talk("a", "1"), "state");
  Database(folder_ / "index.sqlite").run("UPDATE messages SET text = '[1'");
  try {
    (void)store.all();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
  }
}

TEST_F(ConversationStoreTest, MessagesThatAreThereAreNotWrittenAgain) {
  ConversationStore store = open();
  const auto write = [](const fs::path& file) { write_file_atomically(file, std::string("state")); };
  const auto said = [&] {
    std::string all;
    const std::vector<StoredConversation> stored = store.all();
    for (const RecordedMessage& one : stored.at(0).messages) all += one.message.content + " ";
    return all;
  };
  StoredConversation one = talk("a", "Hello?");
  one.revision = store.put(one, write).revision;
  Database(folder_ / "index.sqlite")
      .run(R"(UPDATE messages SET text = '{"role":"user","content":"marked"}' WHERE n = 0)");
  one.messages.push_back({{"user", "Really?"}});
  one.revision = store.put(one, write, 2).revision;
  EXPECT_EQ(said(), "marked Yes. Really? ");
  one.messages.resize(2);
  one.messages[1].message.content = "No.";
  one.revision = store.put(one, write, 1).revision;
  EXPECT_EQ(said(), "marked No. ");
  one.revision = "of another time";
  store.put(one, write, 2);
  EXPECT_EQ(said(), "Hello? No. ") << "what the store has is not what the caller knows";

  store.remove("o", "a");
  Database index(folder_ / "index.sqlite");
  Statement left = index.prepare("SELECT count(*) FROM messages");
  ASSERT_TRUE(left.step());
  EXPECT_EQ(left.number(0), 0);
}

/// Puts conversations for ever and says on `pipe` which are there.
[[noreturn]] void put_for_ever(ConversationStore store, int pipe) {
  std::mt19937 random(static_cast<unsigned>(getpid()));
  for (int round = 1;; ++round) {
    const int number = static_cast<int>(random() % 5);
    const std::string text = std::to_string(round);
    store.put(talk("c" + std::to_string(number), text), [&](const fs::path& file) {
      write_file_atomically(file, text + std::string(random() % 20000, '.') + text);
    });
    const int said[] = {number, round};
    if (write(pipe, said, sizeof said) != sizeof said) _exit(1);
  }
}

TEST_F(ConversationStoreTest, WhatWasAcknowledgedIsThereWheneverTheProcessIsKilled) {
  std::mt19937 random(3);
  for (int kill_number = 0; kill_number < 30; ++kill_number) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = fork();
    if (child == 0) put_for_ever(open(1 << 30), pipe[1]);
    close(pipe[1]);
    std::map<int, int> acknowledged;
    int said[2];
    for (std::size_t n = 1 + random() % 20; n > 0 && read(pipe[0], said, sizeof said) == sizeof said; --n)
      acknowledged[said[0]] = said[1];
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(pipe[0], said, sizeof said) == sizeof said) acknowledged[said[0]] = said[1];
    close(pipe[0]);
    ConversationStore store = open(1 << 30);
    std::map<std::string, std::string> texts;
    for (const StoredConversation& one : store.all()) texts[one.id] = one.messages[0].message.content;
    for (const auto& [number, round] : acknowledged) {
      const std::string id = "c" + std::to_string(number);
      ASSERT_GE(std::stoi(texts.at(id)), round) << id;
      const std::string state = content_of(*store.file_of("o", id));
      ASSERT_TRUE(state.starts_with(texts[id]) && state.ends_with(texts[id])) << "index and state disagree";
    }
    ASSERT_EQ(n_files(), texts.size());
    for (const auto& [id, text] : texts) store.remove("o", id);
  }
}

}  // namespace
}  // namespace kvevict::serving
