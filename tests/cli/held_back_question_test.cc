// A question that comes after the eviction: the tokens are those of the whole prompt, what is kept knows
// nothing of the question, and nothing is evicted for it.
#include "experiments/held_back_question.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "experiments/held_back_memory.h"
#include "experiments/longbench_runner.h"
#include "kvevict/error.h"
#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

constexpr std::int64_t kNewTokens = 6;

eval::RunStrategy strategy(const std::string& text, PrefillMode prefill = PrefillMode::kFull,
                           PositionMode positions = PositionMode::kAbsolute) {
  return {.policy = make_policy(text), .prefill = prefill, .positions = positions};
}

/// Exact enough for tokens to be equal: f32 weights and cache, no flash attention.
eval::ExampleSettings exact_settings() {
  eval::ExampleSettings settings;
  settings.session.type_k = settings.session.type_v = KvType::kF32;
  settings.session.flash_attention = FlashAttention::kOff;
  settings.session.n_batch = settings.session.n_ubatch = settings.session.n_chunk = 64;
  settings.prompt.n_new_tokens = kNewTokens;
  return settings;
}

class HeldBackQuestionTest : public testing::Test {
 protected:
  /// `n_context` tokens of context, and a question of three tokens and one more that depends on `number`.
  [[nodiscard]] eval::PreparedPrompt prompt(std::int64_t n_context, int number) const {
    eval::PreparedPrompt prompt;
    prompt.tokens = test_tokens(n_context);
    const std::vector<Token> question = {10, 20, 30, static_cast<Token>(40 + number)};
    prompt.tokens.insert(prompt.tokens.end(), question.begin(), question.end());
    prompt.n_question_tokens = 4;
    prompt.text = std::to_string(number);
    return prompt;
  }

  [[nodiscard]] static std::vector<Token> test_tokens(std::int64_t n) {
    std::vector<Token> tokens;
    for (std::int64_t i = 0; i < n; ++i) tokens.push_back(static_cast<Token>(100 + 37 * i % 4000));
    return tokens;
  }

  std::shared_ptr<const Model> model_ = load_model(shallow_f32_model_path());
};

TEST_F(HeldBackQuestionTest, WhatIsKeptIsThePlanOfTheContextAloneAndNothingIsEvictedForTheRest) {
  for (const eval::RunStrategy& run :
       {strategy("sink_recent:4:60"), strategy("sink_recent:4:60", PrefillMode::kFull, PositionMode::kPacked),
        strategy("snapkv:4:32:28"), strategy("snapkv:4:32:28:per_layer=1"),
        strategy("sink_recent:4:60", PrefillMode::kBounded),
        strategy("h2o:4:20:40", PrefillMode::kBounded)}) {
    const eval::ExampleResult result = eval::answer_alone(model_, run, prompt(200, 0), exact_settings());
    EXPECT_EQ(result.n_kept_tokens, 64 + 4) << to_string(run.policy->spec());
    for (const KeepSet& layer : result.kept_ranges) {
      EXPECT_EQ(layer.count(), 64 + 4);
      EXPECT_TRUE(layer.contains(199)) << "the context's newest token";
      EXPECT_TRUE(layer.contains(203)) << "the question";
    }
    const auto other = eval::answer_alone(model_, run, prompt(200, 1), exact_settings());
    EXPECT_EQ(other.kept_ranges, result.kept_ranges) << "another question, the same tokens kept";
  }
}

TEST_F(HeldBackQuestionTest, AnswersFromOnePrefillAreThoseOfEachAlone) {
  const std::vector<eval::RunStrategy> strategies = {
      strategy("full"), strategy("sink_recent:4:60"),
      strategy("streaming_llm:4:60", PrefillMode::kFull, PositionMode::kPacked), strategy("ladder:4:20:40")};
  eval::SharedPrefill shared(model_, exact_settings().session, 4);
  for (int number = 0; number < 3; ++number) {
    const auto together = eval::answer_together(shared, strategies, prompt(200, number), exact_settings());
    for (std::size_t i = 0; i < strategies.size(); ++i) {
      const auto alone = eval::answer_alone(model_, strategies[i], prompt(200, number), exact_settings());
      EXPECT_EQ(together[i].prediction, alone.prediction) << i;
      EXPECT_EQ(together[i].kept_ranges, alone.kept_ranges) << i;
      EXPECT_EQ(together[i].kv_bytes_after_eviction, alone.kv_bytes_after_eviction) << i;
    }
    EXPECT_EQ(together[0].n_reused_tokens, number == 0 ? 0 : 200);
  }
}

TEST_F(HeldBackQuestionTest, SeveralQuestionsOfOneContextAreAnsweredAsEachAlone) {
  const std::vector<eval::PreparedPrompt> prompts = {prompt(200, 0), prompt(200, 1), prompt(150, 1),
                                                     prompt(200, 2)};
  for (const eval::RunStrategy& run :
       {strategy("sink_recent:4:60"), strategy("snapkv:4:32:28"), strategy("tova:4:1:59"),
        strategy("h2o:4:20:40:per_layer=1"), strategy("h2o:4:20:40", PrefillMode::kBounded),
        strategy("streaming_llm:4:60", PrefillMode::kFull, PositionMode::kPacked)}) {
    const auto results = eval::answer_each_alone(model_, run, prompts, exact_settings());
    ASSERT_EQ(results.size(), prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const auto alone = eval::answer_alone(model_, run, prompts[i], exact_settings());
      EXPECT_EQ(results[i].prediction, alone.prediction) << to_string(run.policy->spec()) << " " << i;
      EXPECT_EQ(results[i].kept_ranges, alone.kept_ranges) << to_string(run.policy->spec()) << " " << i;
    }
    EXPECT_EQ(results[1].n_reused_tokens, 200);
    EXPECT_EQ(results[2].n_reused_tokens, 0) << "of another context";
  }
}

TEST_F(HeldBackQuestionTest, HoldsNoMoreThanIsToldBeforehand) {
  for (const eval::RunStrategy& run :
       {strategy("full"), strategy("sink_recent:4:60"), strategy("snapkv:4:32:28:per_layer=1"),
        strategy("sink_recent:4:60", PrefillMode::kBounded)}) {
    SessionOptions options = exact_settings().session;
    options.prefill = run.prefill;
    options.positions = run.positions;
    const MemoryNeeded told = eval::memory_needed_held_back(
        *model_, *run.policy, resolved_options(*model_, *run.policy, options), 600, 4 + kNewTokens);
    const auto result = eval::answer_alone(model_, run, prompt(600, 0), exact_settings());
    EXPECT_LE(result.kv_bytes_peak, told.kv_bytes_peak) << to_string(run.policy->spec());
    EXPECT_EQ(result.kv_bytes_after_eviction, told.kv_bytes_after) << to_string(run.policy->spec());
  }
}

TEST_F(HeldBackQuestionTest, TheCutIsThatOfTheWholePromptsTokens) {
  const std::string context = "The sea is calm.\n\nThe harbour is";
  for (const std::string& question :
       {std::string("\n\nWhat is calm?"), std::string(" full."), std::string("!")}) {
    const std::vector<Token> all = model_->tokenize(context + question, true, true);
    const std::int64_t n = eval::count_question_tokens(*model_, all, context);
    const auto head = std::span(all).first(all.size() - static_cast<std::size_t>(n));
    EXPECT_TRUE(context.starts_with(model_->detokenize(head)));
    EXPECT_EQ(model_->detokenize(all), context + question);
    EXPECT_GE(n, 1);
  }
  // a token over the end of the context is the question's
  const std::vector<Token> all = model_->tokenize(context + "land is far.", true, true);
  const std::int64_t n = eval::count_question_tokens(*model_, all, context);
  EXPECT_TRUE(context.starts_with(
      model_->detokenize(std::span(all).first(all.size() - static_cast<std::size_t>(n)))));
  EXPECT_THROW(static_cast<void>(eval::count_question_tokens(*model_, all, context + "land is far.")), Error);
  EXPECT_THROW(static_cast<void>(eval::count_question_tokens(*model_, all, "Another text")), Error);
}

}  // namespace
}  // namespace kvevict::test
