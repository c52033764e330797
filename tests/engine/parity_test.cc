// Evicted caches against PyTorch and transformers: tests/data/parity, made by scripts/parity/make_golden.py.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using Json = nlohmann::json;

class Parity : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream file(std::string(KVEVICT_TEST_DATA_DIR) + "/parity/" + GetParam() + ".json");
    golden_ = Json::parse(file);
    tokens_ = golden_.at("tokens").get<std::vector<Token>>();
    policy_ = make_policy(golden_.at("strategy").get<std::string>());
    for (const auto& row : golden_.at("rows")) rows_.push_back(row);
  }

  [[nodiscard]] SessionOptions options() const {
    SessionOptions options;
    options.flash_attention = FlashAttention::kOff;
    options.type_k = options.type_v = KvType::kF32;
    options.positions = *parse_position_mode(golden_.at("positions").get<std::string>());
    options.n_chunk = golden_.value("chunk", 512);
    options.prefill = *parse_prefill_mode(golden_.at("prefill").get<std::string>());
    return options;
  }

  /// Two ways to sum the same f32 products of d terms differ by about sqrt(d) · epsilon of the result's size,
  /// and each of the 2 residual additions of each of the 30 layers brings its own: sqrt(60) · sqrt(1536) ·
  /// 6e-8 · (largest logit, 30) = 5.5e-4. Ten times less was seen; a wrong mask or position shows as 0.1 and
  /// more.
  [[nodiscard]] double tolerance() const {
    constexpr double kEpsilon = 6e-8;
    const double n_sums = 2.0 * model_->info().n_cache_layers();
    return std::sqrt(n_sums) * std::sqrt(1536.0) * kEpsilon * golden_.at("largest_logit").get<double>();
  }

  /// Compares the session's logits with the recorded ones where the token just appended is a recorded row.
  void compare_logits(const Session& session) {
    const std::int64_t row = session.stats().n_tokens_seen - 1;
    const auto found = std::find(rows_.begin(), rows_.end(), row);
    if (found == rows_.end()) return;
    ++n_compared_;
    const Json& expected = golden_.at("logits").at(static_cast<std::size_t>(found - rows_.begin()));
    const std::size_t every = golden_.at("every");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      most_ = std::max(
          most_, std::abs(static_cast<double>(session.logits()[i * every]) - expected.at(i).get<double>()));
    }
  }

  void compare_log_probability(std::int64_t index, double log_probability) {
    const double expected = golden_.at("log_probabilities").at(static_cast<std::size_t>(index - 1));
    most_ = std::max(most_, std::abs(log_probability - expected));
    ++n_log_probabilities_;
  }

  void run_bounded(Session& session) {
    const auto n_chunk = static_cast<std::size_t>(session.options().n_chunk);
    for (std::size_t from = 0; from < tokens_.size(); from += n_chunk) {
      session.append(
          std::span(tokens_).subspan(from, std::min(n_chunk, tokens_.size() - from)),
          {.on_log_probability = [&](std::int64_t i, double p) { compare_log_probability(i, p); }});
      compare_logits(session);
    }
    EXPECT_EQ(n_log_probabilities_, tokens_.size() - 1);
  }

  /// All but the prompt's last token, an eviction, then token after token as `generate` does it.
  void run_one_shot(Session& session) {
    const std::size_t n_prompt = golden_.at("n_prompt");
    session.append(std::span(tokens_).first(n_prompt - 1));
    session.evict({.n_upcoming = 1, .n_reserve = 64});
    for (std::size_t i = n_prompt - 1; i < tokens_.size(); ++i) {
      if (i >= n_prompt) session.make_room(1);
      session.append(std::span(tokens_).subspan(i, 1));
      compare_logits(session);
    }
  }

  std::shared_ptr<const Model> model_ = test::load_model(test::f32_model_path());
  Json golden_;
  std::vector<Token> tokens_;
  std::vector<std::int64_t> rows_;
  std::shared_ptr<const Policy> policy_;
  double most_ = 0;
  std::size_t n_compared_ = 0;
  std::size_t n_log_probabilities_ = 0;
};

TEST_P(Parity, LogitsEqualTransformers) {
  Session session(model_, policy_, options());
  if (session.options().prefill == PrefillMode::kBounded) {
    run_bounded(session);
  } else {
    run_one_shot(session);
  }
  EXPECT_EQ(n_compared_, rows_.size());
  EXPECT_LE(most_, tolerance());
  RecordProperty("largest_difference", std::to_string(most_));
  EXPECT_LT(session.stats().n_tokens_held,
            static_cast<std::int64_t>(tokens_.size()));  // something was evicted at all
}

INSTANTIATE_TEST_SUITE_P(Cases, Parity,
                         testing::Values("bounded_absolute_sink_recent", "bounded_absolute_uniform",
                                         "bounded_packed_sink_recent", "bounded_packed_uniform",
                                         "one_shot_absolute_sink_recent", "one_shot_absolute_uniform"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kvevict
