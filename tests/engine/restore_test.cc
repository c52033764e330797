// A session that is saved and loaded goes on bit for bit as one that was never saved.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "kvevict/session_file.h"
#include "support/test_models.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

struct Case {
  const char* strategy;
  PrefillMode prefill;
  PositionMode positions;
};

class RestoreTest : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] Session make() const {
    SessionOptions options;
    options.prefill = GetParam().prefill;
    options.positions = GetParam().positions;
    options.n_chunk = 64;
    options.n_threads = 2;
    options.n_decode_slack = 16;
    Session session(model_, make_policy(GetParam().strategy), options);
    session.append(std::span(text_).first(200));
    if (GetParam().prefill == PrefillMode::kFull) session.evict({.n_reserve = 60});
    session.append(std::span(text_).subspan(200, 37));
    return session;
  }

  /// What came out of a turn, to the last bit.
  struct Went {
    std::vector<Token> answer;
    std::vector<float> logits;
    KeepPlan held;
    friend bool operator==(const Went&, const Went&) = default;
  };

  /// Two turns: an answer, and a message behind it.
  [[nodiscard]] std::vector<Went> go_on(Session& session) const {
    std::vector<Went> turns;
    for (std::size_t turn = 0; turn < 2; ++turn) {
      Went& went = turns.emplace_back();
      went.answer = session.generate({.max_new_tokens = 34, .stop_at_end_of_generation = false}).tokens;
      session.append(std::span(text_).subspan(237 + 70 * turn, 70));
      went.logits.assign(session.logits().begin(), session.logits().end());
      went.held = session.held_by_layer();
    }
    return turns;
  }

  std::shared_ptr<const Model> model_ = test::load_model(test::shallow_model_path());
  std::vector<Token> text_ = test::prose_tokens(*model_, 400);
};

TEST_P(RestoreTest, GoesOnBitForBitAsIfNeverSaved) {
  const std::filesystem::path path = std::filesystem::path(test::make_work_folder()) / "saved";
  Session never_saved = make();
  Session saved = make();
  ASSERT_TRUE(std::ranges::equal(saved.logits(), never_saved.logits())) << "two equal runs already differ";
  save_session(saved, path);
  SessionOptions options = saved.options();
  options.positions.reset();
  Session loaded = load_session(model_, path, options).session;
  const std::vector<Went> expected = go_on(never_saved);
  EXPECT_EQ(go_on(saved), expected) << "the session that was saved";
  EXPECT_EQ(go_on(loaded), expected) << "the session that was loaded";
}

INSTANTIATE_TEST_SUITE_P(
    EveryStrategy, RestoreTest,
    testing::Values(Case{"full", PrefillMode::kFull, PositionMode::kAbsolute},
                    Case{"sink_recent:4:92", PrefillMode::kFull, PositionMode::kAbsolute},
                    Case{"sink_recent:4:92", PrefillMode::kBounded, PositionMode::kAbsolute},
                    Case{"sink_recent:4:92", PrefillMode::kBounded, PositionMode::kAuto},
                    Case{"sink_recent_uniform:4:60:64:block=16", PrefillMode::kFull, PositionMode::kAbsolute},
                    Case{"sink_recent_uniform:4:60:64:block=16", PrefillMode::kBounded,
                         PositionMode::kPacked},
                    Case{"streaming_llm:4:92", PrefillMode::kBounded, PositionMode::kPacked},
                    Case{"ladder:4:44:48", PrefillMode::kFull, PositionMode::kAbsolute},
                    Case{"ladder:4:44:48", PrefillMode::kBounded, PositionMode::kAbsolute},
                    Case{"ladder:4:44:48", PrefillMode::kBounded, PositionMode::kPacked}),
    [](const auto& info) {
      std::string name = info.param.strategy;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name + "_" + std::string(to_string(info.param.prefill)) + "_" +
             std::string(to_string(info.param.positions));
    });

}  // namespace
}  // namespace kvevict
