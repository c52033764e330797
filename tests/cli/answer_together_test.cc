// Several strategies from one prefill: the same answers as alone, with fewer calls.
#include <gtest/gtest.h>

#include <algorithm>

#include "experiments/longbench_runner.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

constexpr std::int64_t kNewTokens = 6;

eval::RunStrategy strategy(const std::string& text) {
  eval::RunStrategy run;
  run.policy = make_policy(text);
  run.positions = run.policy->required_positions().value_or(PositionMode::kAbsolute);
  return run;
}

/// Exact enough for tokens to be equal: f32 weights and cache, no flash attention.
eval::ExampleSettings exact_settings() {
  eval::ExampleSettings settings;
  settings.session.type_k = settings.session.type_v = KvType::kF32;
  settings.session.flash_attention = FlashAttention::kOff;
  settings.session.n_batch = settings.session.n_ubatch = 64;
  settings.prompt.n_new_tokens = kNewTokens;
  return settings;
}

eval::PreparedPrompt prompt_of(std::vector<Token> tokens) {
  eval::PreparedPrompt prompt;
  prompt.text = std::to_string(tokens.size());
  prompt.tokens = std::move(tokens);
  return prompt;
}

class AnswerTogetherTest : public testing::Test {
 protected:
  void expect_as_alone(const std::vector<eval::ExampleResult>& together, const eval::PreparedPrompt& prompt,
                       const eval::ExampleSettings& settings) {
    ASSERT_EQ(together.size(), strategies_.size());
    for (std::size_t i = 0; i < strategies_.size(); ++i) {
      const eval::ExampleResult alone = eval::answer_alone(model_, strategies_[i], prompt, settings);
      EXPECT_EQ(together[i].prediction, alone.prediction) << i;
      EXPECT_EQ(together[i].n_generated_tokens, alone.n_generated_tokens) << i;
      EXPECT_EQ(together[i].kept_ranges, alone.kept_ranges) << i;
      EXPECT_EQ(together[i].kv_bytes_after_eviction, alone.kv_bytes_after_eviction) << i;
      EXPECT_EQ(together[i].n_sharing, static_cast<int>(strategies_.size()));
      EXPECT_EQ(alone.n_sharing, 1);
    }
  }

  std::shared_ptr<const Model> model_ = load_model(shallow_f32_model_path());
  std::vector<eval::RunStrategy> strategies_ = {strategy("full"), strategy("sink_recent:4:60"),
                                                strategy("sink_recent_uniform:4:40:32:block=16"),
                                                strategy("streaming_llm:4:60"), strategy("ladder:4:20:40")};
};

TEST_F(AnswerTogetherTest, AnswersAreThoseOfEachAlone) {
  const eval::PreparedPrompt prompt = prompt_of(prose_tokens(*model_, 150));
  for (const eval::FirstToken first_token : {eval::FirstToken::kEvicted, eval::FirstToken::kFull}) {
    eval::ExampleSettings settings = exact_settings();
    settings.first_token = first_token;
    eval::SharedPrefill shared(model_, settings.session, static_cast<int>(strategies_.size()));
    expect_as_alone(eval::answer_together(shared, strategies_, prompt, settings), prompt, settings);
  }
}

TEST_F(AnswerTogetherTest, OneCallForAllUnpackedStrategies) {
  const eval::ExampleSettings settings = exact_settings();
  const eval::PreparedPrompt prompt =
      prompt_of(prose_tokens(*model_, 129));  // two batches, and the last token
  for (const std::size_t n : {1, 2, 3}) {
    const std::vector<eval::RunStrategy> unpacked(
        n == 1 ? strategies_.begin() + 1 : strategies_.begin(),
        strategies_.begin() + static_cast<std::ptrdiff_t>(n == 1 ? 2 : n));
    eval::SharedPrefill shared(model_, settings.session, 3);
    const auto results = eval::answer_together(shared, unpacked, prompt, settings);
    for (const eval::ExampleResult& result : results) ASSERT_EQ(result.n_generated_tokens, kNewTokens);
    // A strategy by itself moves out after its eviction: its calls are then its own context's.
    EXPECT_EQ(shared.stats().n_decode_calls, n == 1 ? 2 : 2 + 1 + (kNewTokens - 1)) << n;
  }
}

TEST_F(AnswerTogetherTest, TheCommonBeginningOfTwoPromptsIsComputedOnce) {
  const eval::ExampleSettings settings = exact_settings();
  std::vector<Token> tokens = prose_tokens(*model_, 150);
  const eval::PreparedPrompt first = prompt_of(tokens);
  std::reverse(tokens.begin() + 140, tokens.end());
  tokens.resize(146);
  const eval::PreparedPrompt second = prompt_of(tokens);
  eval::SharedPrefill shared(model_, settings.session, static_cast<int>(strategies_.size()));
  EXPECT_EQ(eval::answer_together(shared, strategies_, first, settings)[0].n_reused_tokens, 0);
  const std::int64_t n_calls = shared.stats().n_decode_calls;
  const auto results = eval::answer_together(shared, strategies_, second, settings);
  EXPECT_EQ(results[0].n_reused_tokens, 128) << "whole batches of 64";
  EXPECT_EQ(shared.stats().n_decode_calls - n_calls, 1 + 1 + (results[0].n_generated_tokens - 1))
      << "17 tokens, the last one, the answer";
  expect_as_alone(results, second, settings);
  EXPECT_TRUE(results[0].has_shared_timings());
}

TEST_F(AnswerTogetherTest, AnAnswerThatEndsAtANewLineIsNotEmpty) {
  eval::ExampleSettings settings = exact_settings();
  settings.stops_at_newline = true;
  settings.prompt.n_new_tokens = 40;
  const std::vector<Token> newline = model_->tokenize("\n", false, false);
  std::vector<Token> tokens = prose_tokens(*model_, 60);
  for (int i = 0; i < 6; ++i) tokens.insert(tokens.end(), newline.begin(), newline.end());
  const eval::ExampleResult result = eval::answer_alone(model_, strategies_[0], prompt_of(tokens), settings);
  EXPECT_GE(result.n_generated_tokens, 1);
  EXPECT_NE(result.prediction.substr(0, 1), "\n");
  const std::size_t end = result.prediction.find('\n');
  EXPECT_TRUE(end == std::string::npos || end + 1 == result.prediction.size()) << result.prediction;
}

}  // namespace
}  // namespace kvevict::test
