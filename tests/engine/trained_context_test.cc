// Positions and the context that a model was trained on.
#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

constexpr std::size_t kTrained = 512;  // of the tiny model

std::vector<Token> some_tokens(std::size_t n) {
  std::vector<Token> tokens(n);
  for (std::size_t i = 0; i < n; ++i) tokens[i] = static_cast<Token>(1 + i % 100);
  return tokens;
}

Session session_with(const SessionOptions& options) {
  return {test::load_model(test::tiny_model_path()), make_policy("sink_recent:4:60"), options};
}

SessionOptions options_of(PrefillMode prefill,
                          std::optional<PositionMode> positions = PositionMode::kAbsolute) {
  SessionOptions options;
  options.n_chunk = 64;
  options.prefill = prefill;
  options.positions = positions;
  return options;
}

TEST(TrainedContext, AbsolutePositionsBeyondItAreRefusedBeforeAnythingIsDecoded) {
  for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded}) {
    Session session = session_with(options_of(prefill));
    session.append(some_tokens(kTrained - 12));
    session.evict();
    const std::int64_t n_decoded = session.stats().n_decoded_tokens;
    try {
      session.append(some_tokens(13));
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_EQ(error.field(), "positions");
      EXPECT_NE(std::string(error.what()).find("run to 512"), std::string::npos) << error.what();
    }
    EXPECT_EQ(session.stats().n_decoded_tokens, n_decoded);
    session.append(some_tokens(12));
    Session* const one[] = {&session};
    EXPECT_THROW(Session::append_each(one, some_tokens(1)), Error);
    EXPECT_EQ(session.stats().n_tokens_seen, static_cast<std::int64_t>(kTrained));
  }
}

TEST(TrainedContext, OtherPositionsStayWithinItAndAnExperimentMayPassIt) {
  const auto n_last = [](const SessionOptions& options) {
    Session session = session_with(options);
    for (int i = 0; i < 12; ++i) session.append(some_tokens(50));
    const HeldRun& last = session.record().back();
    return last.first_position + last.indices.count() - 1;
  };
  EXPECT_LT(n_last(options_of(PrefillMode::kBounded, PositionMode::kPacked)), 512);
  EXPECT_LT(n_last(options_of(PrefillMode::kBounded, PositionMode::kAuto)), 512);
  EXPECT_LT(n_last(options_of(PrefillMode::kBounded, std::nullopt)), 512);
  SessionOptions experiment = options_of(PrefillMode::kBounded);
  experiment.past_trained_context = true;
  EXPECT_EQ(n_last(experiment), 599);
}

}  // namespace
}  // namespace kvevict
