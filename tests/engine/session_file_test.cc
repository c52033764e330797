#include "kvevict/session_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "support/test_models.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<const Policy> policy(const char* text) {
  return make_policy(parse_strategy(text));
}

const GenerateOptions kGenerate{.max_new_tokens = 12,
                                .sampling = {.temperature = 0.8, .seed = 3},
                                .policy = policy("streaming_llm:4:60"),
                                .stop_at_end_of_generation = false};

SessionOptions packed() {
  SessionOptions options;
  options.n_chunk = 64;
  options.positions = PositionMode::kPacked;
  return options;
}

class SessionFileTest : public testing::Test {
 protected:
  Session make_session() {
    Session session(model_, packed());
    session.append(test::prose_tokens(*model_, 300), {.policy = kGenerate.policy});
    return session;
  }

  std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  ErrorCode code_of_load(const std::shared_ptr<const Model>& model, const SessionOptions& options) const {
    try {
      (void)load_session(model, options, path_);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path_.string()), std::string::npos) << error.what();
      return error.code();
    }
    ADD_FAILURE() << "loaded";
    return ErrorCode::kEngine;
  }

  std::shared_ptr<const Model> model_ = test::load_model(test::default_model_path());
  fs::path path_ = fs::path(test::make_work_folder()) / "saved";
};

TEST_F(SessionFileTest, ALoadedSessionGoesOnWithTheSameTokens) {
  Session session = make_session();
  save_session(session, path_,
               {.sampling = kGenerate.sampling, .application_data = std::string("a\0\xff", 3)});
  LoadedSession loaded = load_session(model_, packed(), path_);
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
  session.make_room(*kGenerate.policy, 64);  // packs: the keys turn at the next decode
  save_session(session, path_);
  LoadedSession loaded = load_session(model_, packed(), path_);
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
  Session session = make_session();
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
  EXPECT_NO_THROW((void)load_session(model_, packed(), path_));
}

TEST_F(SessionFileTest, RefusesAnotherEngineAndAttentionThatWasNotSaved) {
  Session session = make_session();
  SessionSnapshot snapshot = session.snapshot();
  EXPECT_NO_THROW((void)Session::restore(model_, packed(), snapshot));
  const auto code_of_restore = [&](const SessionOptions& options) {
    try {
      (void)Session::restore(model_, options, snapshot);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kEngine;
  };
  EXPECT_EQ(code_of_restore(options_for(*policy("h2o:0:32:32"), packed())), ErrorCode::kUnsupported);
  snapshot.engine_version = "llama.cpp 1, ggml 0.1 abc";
  EXPECT_EQ(code_of_restore(packed()), ErrorCode::kInvalidArgument);
}

TEST_F(SessionFileTest, AFolderIsNoSavedSession) {
  fs::create_directories(path_);
  EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kIo);
}

TEST_F(SessionFileTest, ALadderGoesOnWithItsRows) {
  const auto ladder = policy("ladder:1:2:32:span=2");
  SessionSnapshot snapshot = Session(model_, packed()).snapshot();
  snapshot.policy_state = {.n_layers = 30};
  for (const std::int64_t n : {5, 60, 91}) (void)ladder->plan(n, snapshot.policy_state);
  Session session = Session::restore(model_, packed(), snapshot);
  save_session(session, path_);
  PolicyState loaded = load_session(model_, packed(), path_).session.snapshot().policy_state;
  EXPECT_EQ(loaded.n_layers, 30);
  EXPECT_EQ(ladder->plan(91, loaded), ladder->plan(91, snapshot.policy_state));
  EXPECT_EQ(ladder->plan(120, loaded), ladder->plan(120, snapshot.policy_state));
  for (const auto& [cursor, n_seen] : {std::pair{-1, 91}, {3, 7}}) {  // a file that contradicts itself
    snapshot.policy_state.ladder->cursor = cursor;
    snapshot.policy_state.ladder->n_tokens_seen = n_seen;
    Session broken = Session::restore(model_, packed(), snapshot);
    save_session(broken, path_);
    EXPECT_EQ(code_of_load(model_, packed()), ErrorCode::kBadData);
  }
}

TEST_F(SessionFileTest, AnEmptySessionIsSavedToo) {
  Session empty(model_, packed());
  save_session(empty, path_);
  LoadedSession loaded = load_session(model_, packed(), path_);
  loaded.session.append(test::prose_tokens(*model_, 10));
  EXPECT_EQ(loaded.session.stats().n_tokens_held, 10);
}

}  // namespace
}  // namespace kvevict
