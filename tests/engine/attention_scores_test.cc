// Recorded attention against the whole matrix of probabilities, taken from llama.cpp by a callback of its
// own.
#include <ggml-backend.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/attention_scores.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/plain_llama.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

constexpr std::int64_t kTokens = 90;

/// Keeps a given set, and shows the scores that it was given.
class ShowScores final : public Policy {
 public:
  ShowScores(int n_last_queries, KeepPlan keep) : n_last_queries_(n_last_queries), keep_(std::move(keep)) {}
  [[nodiscard]] std::string versioned_name() const override { return "show_scores/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::optional<ScoreRequest> score_request() const noexcept override {
    return ScoreRequest{n_last_queries_};
  }
  [[nodiscard]] bool is_per_layer() const noexcept override { return !keep_.is_shared(); }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState&) const override { return 10; }
  [[nodiscard]] KeepPlan plan(std::int64_t, PolicyState& state) const override {
    shown = *state.scores;
    return keep_;
  }
  mutable TokenScores shown;

 private:
  int n_last_queries_;
  KeepPlan keep_;
  StrategySpec spec_;
};

/// Every probability, averaged over the heads: `[layer][query][cell]`, queries in the order of decoding.
struct WholeMatrix {
  std::map<std::string, std::vector<std::vector<double>>> rows;

  static bool on_tensor(ggml_tensor* t, bool is_question, void* data) {
    const std::string name = ggml_get_name(t);
    if (name.find("kq_soft_max") != 0) return !is_question;
    if (is_question) return true;
    std::vector<float> p(static_cast<std::size_t>(ggml_nelements(t)));
    ggml_backend_tensor_get(t, p.data(), 0, p.size() * sizeof(float));
    auto& rows = static_cast<WholeMatrix*>(data)->rows[name];
    for (std::int64_t q = 0; q < t->ne[1]; ++q) {
      auto& row = rows.emplace_back(static_cast<std::size_t>(t->ne[0]), 0.0);
      for (std::int64_t h = 0; h < t->ne[2]; ++h) {
        for (std::int64_t c = 0; c < t->ne[0]; ++c) {
          row[static_cast<std::size_t>(c)] +=
              static_cast<double>(p[static_cast<std::size_t>((h * t->ne[1] + q) * t->ne[0] + c)]) /
              static_cast<double>(t->ne[2]);
        }
      }
    }
    return true;
  }

  [[nodiscard]] double sum(std::size_t layer, std::size_t cell, std::size_t first_query) const {
    double sum = 0;
    const auto& queries = rows.at("kq_soft_max-" + std::to_string(layer));
    for (std::size_t q = first_query; q < queries.size(); ++q) {
      sum += cell < queries[q].size() ? queries[q][cell] : 0;
    }
    return sum;
  }
};

SessionOptions exact_options(int n_ubatch) {
  SessionOptions options;
  options.type_k = options.type_v = KvType::kF32;
  options.n_ubatch = n_ubatch;
  options.flash_attention = FlashAttention::kOff;
  return options;
}

TEST(AttentionScores, AreTheColumnSumsOfTheWholeMatrix) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens);
  WholeMatrix matrix;
  const SessionOptions options = resolved_options(*model, ShowScores(0, {}), exact_options(512));
  test::PlainLlama plain(*model, options, 256, WholeMatrix::on_tensor, &matrix);
  plain.decode(std::span(text).first(kTokens), 0);
  for (const int n_last : {0, 1, 7, 50}) {
    const auto policy = std::make_shared<const ShowScores>(n_last, KeepPlan(KeepSet::all(kTokens)));
    Session session(model, policy, exact_options(32));  // in three batches
    session.append(std::span(text).first(kTokens));
    session.evict();
    ASSERT_EQ(policy->shown.by_layer.size(), test::kShallowLayers);
    EXPECT_EQ(policy->shown.held, KeepPlan(KeepSet::all(kTokens)));
    const std::size_t first_query = n_last == 0 ? 0 : static_cast<std::size_t>(kTokens - n_last);
    for (std::size_t l = 0; l < test::kShallowLayers; ++l) {
      ASSERT_EQ(policy->shown.by_layer[l].size(), static_cast<std::size_t>(kTokens));
      for (std::size_t i = 0; i < policy->shown.by_layer[l].size(); ++i) {
        ASSERT_NEAR(policy->shown.by_layer[l][i], matrix.sum(l, i, first_query), 1e-3)
            << "layer " << l << " token " << i << " last " << n_last;
      }
    }
  }
}

/// The scores of `tokens` without flash attention, and with it, of keys of `type`.
struct BothWays {
  TokenScores plain, flash;
};
BothWays both_ways(const std::shared_ptr<const Model>& model, std::span<const Token> tokens, int n_last,
                   KvType type) {
  BothWays scores;
  for (const bool is_flash : {false, true}) {
    const auto n = static_cast<std::int64_t>(tokens.size());
    const auto policy = std::make_shared<const ShowScores>(n_last, KeepPlan(KeepSet::all(n)));
    SessionOptions options = exact_options(32);
    options.type_k = type;
    options.flash_attention = is_flash ? FlashAttention::kOn : FlashAttention::kOff;
    Session session(model, policy, options);
    session.append(tokens);
    session.evict();
    (is_flash ? scores.flash : scores.plain) = policy->shown;
  }
  return scores;
}

TEST(AttentionScores, OfTheLastQueriesAreTheSameWithFlashAttention) {
  for (const auto& path : {test::shallow_f32_model_path(), test::alibi_model_path(),
                           test::hybrid_model_path(), test::many_positions_model_path()}) {
    SCOPED_TRACE(path);
    const auto model = test::load_model(path);
    std::vector<Token> text;
    for (int i = 0; i < 90; ++i) text.push_back((i * 37 + i / 7) % 128);
    for (const int n_last : {1, 7, 50}) {
      for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
        if (type == KvType::kQ8_0 && path != test::shallow_f32_model_path()) continue;
        const auto [plain, flash] = both_ways(model, text, n_last, type);
        ASSERT_EQ(flash.by_layer.size(), model->info().cache_layers.size());
        for (std::size_t l = 0; l < flash.by_layer.size(); ++l) {
          double sum = 0;
          for (std::size_t i = 0; i < 90; ++i) {
            ASSERT_NEAR(flash.by_layer[l][i], plain.by_layer[l][i], 4e-3 * n_last) << l << " " << i;
            sum += flash.by_layer[l][i];
          }
          ASSERT_NEAR(sum, n_last, 1e-2 * n_last);
        }
      }
    }
  }
}

TEST(AttentionScores, AForkOfASessionThatRecordsChoosesAsOneOfItsOwn) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens + 4);
  SessionOptions options = exact_options(512);
  options.n_sequences = 4;
  options.n_recorded_queries = 16;
  Session trunk(model, make_policy("full"), options);
  trunk.append(std::span(text).first(kTokens));
  Session by_position = trunk.fork(make_policy("sink_recent:4:20"));
  (void)by_position.evict();  // its cells go while the trunk's attention is still to be used
  for (const char* strategy :
       {"snapkv:2:16:14:window=16", "snapkv:2:16:14:window=8:per_layer=1", "tova:0:1:31"}) {
    Session fork = trunk.fork(make_policy(strategy));
    (void)fork.evict();
    Session alone(model, make_policy(strategy), exact_options(512));
    alone.append(std::span(text).first(kTokens));
    (void)alone.evict();
    EXPECT_EQ(fork.held_by_layer(), alone.held_by_layer()) << strategy;
    EXPECT_EQ(fork.held_by_layer().count(), 32);
    fork.append(std::span(text).last(4));
    alone.append(std::span(text).last(4));
    (void)fork.evict();
    (void)alone.evict();
    EXPECT_EQ(fork.held_by_layer(), alone.held_by_layer()) << strategy << ", later";
  }
  EXPECT_THROW((void)trunk.fork(make_policy("h2o:0:16:16")), Error) << "not every query was recorded";
  EXPECT_THROW((void)trunk.fork(make_policy("snapkv:2:32:14")), Error) << "nor 32 of them";
  by_position.append(std::span(text).last(4));
  EXPECT_NO_THROW((void)trunk.fork(make_policy("tova:0:1:31"))) << "the cells of another have moved on";
  trunk.append(std::span(text).last(4));
  EXPECT_THROW((void)trunk.fork(make_policy("tova:0:1:31")), Error) << "its own have, beside others";
}

TEST(AttentionScores, FollowTheTokensThroughAnEviction) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens + 3);
  std::vector<KeepSet> sets = {KeepSet::from_ranges({{0, 4}, {30, 50}, {80, 1000}}),
                               KeepSet::from_ranges({{0, 4}, {40, 60}, {80, 1000}})};
  std::vector<std::size_t> set_of_layer(test::kShallowLayers, 0);
  for (std::size_t l = 0; l < test::kShallowLayers; l += 2) set_of_layer[l] = 1;
  for (const KeepPlan& keep : {KeepPlan(sets.front()), KeepPlan(sets, set_of_layer)}) {
    const auto policy = std::make_shared<const ShowScores>(0, keep);
    Session session(model, policy, exact_options(32));
    session.append(std::span(text).first(kTokens));
    session.evict();
    const TokenScores before = policy->shown;
    session.append(std::span(text).subspan(kTokens, 3));
    EXPECT_EQ(session.count_occupied_cells(), 34 + 3);
    session.evict();
    const TokenScores after = policy->shown;
    for (std::size_t l = 0; l < test::kShallowLayers; ++l) {
      std::vector<float> kept;
      for (const std::int64_t i : keep.layer(l).intersect(KeepSet::all(kTokens)).to_indices())
        kept.push_back(before.by_layer[l][static_cast<std::size_t>(i)]);
      ASSERT_EQ(after.by_layer[l].size(), 37U);
      double gained = 0;
      for (std::size_t k = 0; k < 37; ++k) {
        const double was = k < kept.size() ? kept[k] : 0;
        ASSERT_GE(after.by_layer[l][k], was - 1e-5) << "layer " << l << " row " << k;
        gained += after.by_layer[l][k] - was;
      }
      ASSERT_NEAR(gained, 3, 1e-3);  // three queries, each of which gives 1 in all
    }
  }
}

TEST(AttentionScores, AreAskedForOrRefused) {
  const auto model = test::load_model(test::shallow_model_path());
  const auto policy = std::make_shared<const ShowScores>(0, KeepPlan(KeepSet::all(5)));
  SessionOptions forced;  // of the attention of every query
  forced.flash_attention = FlashAttention::kOn;
  EXPECT_THROW((void)resolved_options(*model, *policy, forced), Error);
  EXPECT_THROW(Session(model, policy, forced), Error);
  SessionOptions shared;
  shared.n_sequences = 2;
  EXPECT_THROW(Session(model, policy, shared), Error);
  Session session(model, make_policy("full"), shared);  // records nothing
  const std::vector<Token> text = test::prose_tokens(*model, 20);
  session.append(text);
  try {
    (void)session.fork(policy);
    FAIL() << "nothing was recorded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
  EXPECT_EQ(session.count_occupied_cells(), 20);
  EXPECT_NO_THROW((void)session.fork()) << "the refused one took no sequence";
  Session recording(model, policy);
  EXPECT_EQ(recording.options().flash_attention, FlashAttention::kOff);
  recording.append(text);
  EXPECT_THROW((void)recording.snapshot(), Error);
}

TEST(AttentionScores, GoingBackForgetsTheQueriesThatAreGone) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 60);
  const auto scores_of = [&](bool goes_back) {
    const auto policy = std::make_shared<const ShowScores>(8, KeepPlan(KeepSet::all(60)));
    Session session(model, policy, exact_options(32));
    session.append(std::span(text).first(50));
    if (goes_back) {
      session.append(std::span(text).subspan(20, 5));
      session.trim(50);
    }
    session.append(std::span(text).subspan(50));
    session.evict();
    return policy->shown;
  };
  const TokenScores straight = scores_of(false);
  const TokenScores back = scores_of(true);
  for (std::size_t l = 0; l < test::kShallowLayers; ++l) {
    ASSERT_EQ(back.by_layer[l].size(), 60U);
    for (std::size_t i = 0; i < 60; ++i) ASSERT_NEAR(back.by_layer[l][i], straight.by_layer[l][i], 1e-4);
  }
}

TEST(AttentionScores, AModelThatShowsNoneIsRefused) {
  const AttentionScores scores({.n_last_queries = 1}, {0, 1});
  try {
    scores.require_sound(4);
    FAIL() << "attention was never shown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("goes by position"), std::string::npos);
  }
}

}  // namespace
}  // namespace kvevict
