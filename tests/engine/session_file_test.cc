#include "kvevict/session_file.h"

#include <gtest/gtest.h>

#include <malloc.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "base/process_info.h"
#include "base/scope_guard.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "policy/ladder.h"
#include "support/every_nth_policy.h"
#include "support/test_models.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

const GenerateOptions kGenerate{
    .max_new_tokens = 12, .sampling = {.temperature = 0.8, .seed = 3}, .stop_at_end_of_generation = false};

SessionOptions packed() {
  SessionOptions options;
  options.n_chunk = 64;
  options.positions = PositionMode::kPacked;
  return options;
}

class SessionFileTest : public testing::Test {
 protected:
  Session make_session(const char* strategy = "streaming_llm:4:60") {
    Session session(model_, make_policy(strategy), packed());
    session.append(test::prose_tokens(*model_, 300), {.prefill = PrefillMode::kBounded});
    return session;
  }

  std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  ErrorCode code_of_load(const std::shared_ptr<const Model>& model, const SessionOptions& options) const {
    try {
      (void)load_session(model, path_, options);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path_.string()), std::string::npos) << error.what();
      return error.code();
    }
    ADD_FAILURE() << "loaded";
    return ErrorCode::kEngine;
  }

  std::shared_ptr<const Model> model_ = test::load_model(test::shallow_model_path());
  fs::path path_ = fs::path(test::make_work_folder()) / "saved";
};

TEST_F(SessionFileTest, ALoadedSessionGoesOnWithTheSameTokens) {
  Session session = make_session();
  save_session(session, path_,
               {.sampling = kGenerate.sampling, .application_data = std::string("a\0\xff", 3)});
  LoadedSession loaded = load_session(model_, path_, packed());
  EXPECT_EQ(loaded.extras.application_data, std::string("a\0\xff", 3));
  EXPECT_EQ(loaded.extras.sampling.seed, 3U);
  EXPECT_EQ(loaded.session.held(), session.held());
  EXPECT_EQ(loaded.session.count_occupied_cells(), session.count_occupied_cells());
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(loaded.session.generate(kGenerate).tokens, session.generate(kGenerate).tokens);
    EXPECT_EQ(loaded.session.held(), session.held());
  }
}

TEST_F(SessionFileTest, KeysThatWaitToBeTurnedAreSavedAsTheyAre) {
  Session session = make_session();
  session.make_room(64);  // packs: the keys rotate at the next decode
  save_session(session, path_);
  LoadedSession loaded = load_session(model_, path_, packed());
  EXPECT_EQ(loaded.session.generate(kGenerate).tokens, session.generate(kGenerate).tokens);
}

TEST_F(SessionFileTest, StoppingAndGoingOnDrawsTheSameTokens) {
  Session at_once = make_session();
  GenerateOptions options = kGenerate;
  const std::vector<Token> expected = at_once.generate(options).tokens;
  Session in_parts = make_session();
  options.max_new_tokens = 5;
  std::vector<Token> tokens = in_parts.generate(options).tokens;
  in_parts.append({&tokens.back(), 1});
  options.max_new_tokens = 7;
  const std::vector<Token> rest = in_parts.generate(options).tokens;
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  EXPECT_EQ(tokens, expected);
}

TEST_F(SessionFileTest, RefusesDamageAtAnyPlace) {
  Session session = make_session();
  save_session(session, path_);
  const std::string whole = content();
  for (const std::size_t at : {std::size_t{80}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write(damaged);
    EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kBadData) << at;
  }
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{10}, std::size_t{17}, std::size_t{60}, whole.size() - 1}) {
    write(whole.substr(0, n));
    const ErrorCode code = code_of_load(model_, packed());
    EXPECT_TRUE(code == ErrorCode::kBadData || (n == 17 && code == ErrorCode::kInvalidArgument)) << n;
  }
  write("not a session");
  EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kBadData);
  write("kvevict session 99\n" + whole);
  EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kInvalidArgument);
  fs::remove(path_);
  EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kNotFound);
}

TEST_F(SessionFileTest, RefusesAnotherModelAndOtherOptions) {
  Session session = make_session("sink_recent:4:60");  // is not defined by its positions
  save_session(session, path_);
  EXPECT_EQ(code_of_load(test::load_model(test::short_context_model_path()), packed()),
            ErrorCode::kInvalidArgument);
  SessionOptions other = packed();
  other.positions = PositionMode::kAbsolute;
  EXPECT_EQ(code_of_load(model_, other), ErrorCode::kInvalidArgument);
  other = packed();
  other.type_k = KvType::kQ8_0;
  EXPECT_EQ(code_of_load(model_, other), ErrorCode::kInvalidArgument);
  other = packed();
  other.flash_attention = FlashAttention::kOff;  // the rows of V lie the other way round
  EXPECT_EQ(code_of_load(model_, other), ErrorCode::kBadData);
  EXPECT_NO_THROW((void)load_session(model_, path_, packed()));
}

TEST_F(SessionFileTest, RefusesAnotherEngineAndAttentionThatWasNotSaved) {
  Session session = make_session();
  SessionSnapshot snapshot = session.snapshot();
  EXPECT_NO_THROW((void)Session::restore(model_, make_policy("streaming_llm:4:60"), packed(), snapshot));
  const auto code_of_restore = [&](const char* strategy) {
    try {
      (void)Session::restore(model_, make_policy(strategy), packed(), snapshot);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kEngine;
  };
  EXPECT_EQ(code_of_restore("h2o:0:32:32"), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of_restore("streaming_llm:4:61"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_restore("sink_recent:4:60"), ErrorCode::kInvalidArgument);
  snapshot.engine_version = "llama.cpp 1, ggml 0.1 abc";
  EXPECT_EQ(code_of_restore("streaming_llm:4:60"), ErrorCode::kInvalidArgument);
}

TEST_F(SessionFileTest, AFolderIsNoSavedSession) {
  fs::create_directories(path_);
  EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kIo);
}

TEST_F(SessionFileTest, ALadderGoesOnWithItsRows) {
  const auto ladder = make_policy("ladder:1:2:32:span=2");
  SessionSnapshot snapshot = Session(model_, ladder, packed()).snapshot();
  snapshot.policy_state = {.n_layers = test::kShallowLayers};
  for (const std::int64_t n : {5, 60, 91}) (void)ladder->plan(n, snapshot.policy_state);
  Session session = Session::restore(model_, ladder, packed(), snapshot);
  save_session(session, path_);
  PolicyState loaded = load_session(model_, path_, packed()).session.snapshot().policy_state;
  EXPECT_EQ(loaded.n_layers, test::kShallowLayers);
  EXPECT_EQ(ladder->plan(91, loaded), ladder->plan(91, snapshot.policy_state));
  EXPECT_EQ(ladder->plan(120, loaded), ladder->plan(120, snapshot.policy_state));
  for (const auto& [cursor, n_seen] : {std::pair{-2, 91}, {3, 7}}) {  // a file that contradicts itself
    auto* const rows = dynamic_cast<LadderRows*>(snapshot.policy_state.memory.get());
    ASSERT_NE(rows, nullptr);
    rows->cursor = cursor;
    rows->n_tokens_seen = n_seen;
    Session broken = Session::restore(model_, ladder, packed(), snapshot);
    save_session(broken, path_);
    EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kBadData);
  }
}

TEST_F(SessionFileTest, APolicyOfOnesOwnGoesOnWithWhatItRemembers) {
  register_policy(test::every_nth("saved_every_nth", "saved_step"));
  SessionOptions options = packed();
  options.positions = PositionMode::kAbsolute;
  Session session(model_, make_policy("saved_every_nth:4:40:saved_step=5"), options);
  session.append(test::prose_tokens(*model_, 120));
  session.evict();
  save_session(session, path_);
  const SavedSession inspected = inspect_session(path_);
  EXPECT_EQ(inspected.strategy, "saved_every_nth:4:40:saved_step=5");
  EXPECT_EQ(inspected.policy, "saved_every_nth/1");
  EXPECT_EQ(inspected.held.layer(0), session.held());
  LoadedSession loaded = load_session(model_, path_, options);
  EXPECT_EQ(loaded.session.policy().spec(), session.policy().spec());
  for (Session* const s : {&session, &loaded.session}) {
    s->append(test::prose_tokens(*model_, 90));
    s->evict();
  }
  EXPECT_EQ(loaded.session.held(), session.held());
  EXPECT_TRUE(session.held().contains(75)) << "of the middle at the first eviction";
  EXPECT_FALSE(session.held().contains(100)) << "chosen anew, it would be kept";
}

TEST_F(SessionFileTest, PositionsThatAreLeftOpenAreTheSavedOnes) {
  Session session = make_session("sink_recent:4:60");
  save_session(session, path_);
  EXPECT_EQ(inspect_session(path_).positions, PositionMode::kPacked);
  SessionOptions open = packed();
  open.positions.reset();
  EXPECT_EQ(load_session(model_, path_, open).session.options().positions, PositionMode::kPacked);
}

TEST_F(SessionFileTest, AnEmptySessionIsSavedToo) {
  Session empty(model_, make_policy("full"), packed());
  save_session(empty, path_);
  LoadedSession loaded = load_session(model_, path_, packed());
  loaded.session.append(test::prose_tokens(*model_, 10));
  EXPECT_EQ(loaded.session.stats().n_tokens_held, 10);
}

/// Resident bytes at the peak while `work` runs, above those before it.
std::int64_t added_at_the_peak(const std::function<void()>& work) {
  malloc_trim(0);
  std::atomic<bool> is_done = false;
  const std::int64_t before = resident_bytes();
  std::int64_t most = before;
  std::thread watch([&] {
    while (!is_done) most = std::max(most, resident_bytes());
  });
  {
    const OnExit stop([&] {
      is_done = true;
      watch.join();
    });
    work();
  }
  return most - before;
}

TEST_F(SessionFileTest, SavingAndLoadingHoldOneCopyOfTheRows) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps freed memory resident";
#endif
  SessionOptions options;
  options.type_k = KvType::kF32;
  options.type_v = KvType::kF32;
  Session session(model_, make_policy("full"), options);
  session.append(test::prose_tokens(*model_, 1000));
  const std::int64_t n_rows = 1000 * model_->kv_bytes_per_token(KvType::kF32, KvType::kF32);
  const std::string sha256 = model_->sha256();
  EXPECT_LT(added_at_the_peak([&] { save_session(session, path_, {}, sha256); }), n_rows * 3 / 2);
  const std::int64_t n_context = session.stats().kv_bytes;
  std::optional<LoadedSession> loaded;
  EXPECT_LT(added_at_the_peak([&] { loaded.emplace(load_session(model_, path_, options, sha256)); }),
            n_context + n_rows * 3 / 2 + (64 << 20));
  EXPECT_EQ(loaded->session.held(), session.held());
}

TEST_F(SessionFileTest, InspectingReadsTheHeaderAlone) {
  Session session = make_session();
  save_session(session, path_);
  std::string damaged = content();
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);  // among the rows
  write(damaged);
  EXPECT_EQ(inspect_session(path_).n_tokens_seen, 300);
  EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kBadData);
  write(damaged.substr(0, damaged.size() - 1));
  EXPECT_THROW((void)inspect_session(path_), Error) << "cut short";
}

}  // namespace
}  // namespace kvevict
