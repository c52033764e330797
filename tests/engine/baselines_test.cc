// The ladder and the policies that go by attention in every kind of positions, in full and bounded.
#include <gtest/gtest.h>

#include <cmath>

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using Way = std::tuple<const char*, PositionMode>;
class Baselines : public testing::TestWithParam<Way> {
 protected:
  std::shared_ptr<const Model> model_ = test::load_model(test::short_context_model_path());  // 512 tokens
  std::shared_ptr<const Policy> policy_ = make_policy(std::get<0>(GetParam()));
  SessionOptions options_ = [this] {
    SessionOptions options;
    options.positions = std::get<1>(GetParam());
    options.n_chunk = 100;
    return options;
  }();
};

void expect_whole(Session& session, std::int64_t n_most) {
  const SessionStats stats = session.stats();
  EXPECT_LE(stats.n_tokens_held, n_most);
  EXPECT_EQ(session.count_occupied_cells(), stats.n_tokens_held);
  EXPECT_TRUE(std::isfinite(session.logits().front()));
  const KeepPlan held = session.held_by_layer();
  for (std::size_t l = 0; l < test::kShallowLayers; ++l) {
    EXPECT_EQ(held.layer(l).count(), stats.n_tokens_held);
    EXPECT_TRUE(held.layer(l).contains(stats.n_tokens_seen - 1));
  }
}

TEST_P(Baselines, EvictAtOnceAndWhileAnswering) {
  const std::vector<Token> text = test::prose_tokens(*model_, 301);
  Session session(model_, policy_, options_);
  session.append(std::span(text).first(300));
  const EvictionReport report = session.evict({.n_upcoming = 1, .n_reserve = 80});
  EXPECT_TRUE(report.kept.layer(3).contains(300));  // the one to come
  EXPECT_LE(report.kept.count(), 64 + 1);
  session.append(std::span(text).subspan(300, 1));
  session.generate({.max_new_tokens = 80, .stop_at_end_of_generation = false});
  expect_whole(session, 64 + 1 + options_.n_decode_slack);
}

TEST_P(Baselines, StreamPastTheTrainedContext) {
  const std::vector<Token> text = test::prose_tokens(*model_, 800);
  options_.past_trained_context = true;  // absolute positions
  Session session(model_, policy_, options_);
  session.append(std::span(text).first(800), {.prefill = PrefillMode::kBounded});
  expect_whole(session, 64 + 1 + 100);
  EXPECT_EQ(session.stats().n_cells, 256);
  if (options_.positions == PositionMode::kAuto) {
    EXPECT_GE(session.stats().n_packs, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Baselines,
                         testing::Combine(testing::Values("ladder:4:1:59", "h2o:0:32:32",
                                                          "snapkv:0:32:32:per_layer=1", "tova:0:1:63"),
                                          testing::Values(PositionMode::kAbsolute, PositionMode::kPacked,
                                                          PositionMode::kAuto)));

}  // namespace
}  // namespace kvevict
