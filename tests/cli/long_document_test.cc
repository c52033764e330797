// A document that is too long for the model, and the speed of decoding before and after an eviction.
#include "experiments/long_document.h"

#include <gtest/gtest.h>

#include "experiments/decode_speed.h"
#include "kvevict/error.h"
#include "runtime/prompt_prefill.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

const std::vector<std::string> kTexts = {"The grass is green and the sky is blue.",
                                         "Here we go, there and back again."};

ModelRun run_of(PrefillMode prefill) {
  ModelRun run{.model = load_model(short_context_model_path()),
               .policy = make_policy("sink_recent:64:128"),
               .options = {}};
  run.options.prefill = prefill;
  run.options.n_chunk = 64;
  run.options = resolved_options(*run.model, *run.policy, run.options);
  return run;
}

std::vector<Token> prompt_of(const Model& model, std::int64_t n_tokens) {
  return eval::make_long_document(model, kTexts, n_tokens, 64).tokens;
}

TEST(LongDocument, HasItsFactsAtTheBeginningAndAsManyAsTheSinkHolds) {
  const auto model = load_model(short_context_model_path());
  const eval::LongDocument document = eval::make_long_document(*model, kTexts, 300, 256);
  EXPECT_EQ(document.tokens.size(), 300U);
  EXPECT_EQ(document.facts.size(), 5U);
  const std::string text = model->detokenize(document.tokens);
  for (const eval::StatedFact& fact : document.facts)
    EXPECT_LT(text.find(fact.statement), text.find("grass")) << text;
  const eval::LongDocument small = eval::make_long_document(*model, kTexts, 300, 64);
  EXPECT_LT(small.facts.size(), 5U);
  EXPECT_GE(small.facts.size(), 1U);
  EXPECT_EQ(eval::make_long_document(*model, kTexts, 300, 1).facts.size(), 1U);
  EXPECT_THROW(static_cast<void>(eval::make_long_document(*model, kTexts, 20, 64)), Error);
  EXPECT_THROW(static_cast<void>(eval::make_long_document(*model, {}, 300, 64)), Error);
}

TEST(LongDocument, IsRefusedInFullBeyondTheTrainedContextAndReadWithABound) {
  const ModelRun run = run_of(PrefillMode::kBounded);
  const eval::LongDocument document = eval::make_long_document(*run.model, kTexts, 700, 256);
  const auto refusal = eval::refusal_in_full(run.model, run.options, document);
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->find("trained on contexts of 512"), std::string::npos) << *refusal;
  EXPECT_FALSE(
      eval::refusal_in_full(run.model, run.options, eval::make_long_document(*run.model, kTexts, 400, 64)));
  std::vector<std::int64_t> steps;
  const eval::LongAnswers answers =
      eval::answer_long_document(run, document, [&](std::int64_t n_done) { steps.push_back(n_done); });
  EXPECT_EQ(answers.n_kept, 64 + 128);
  EXPECT_LT(answers.kv_bytes, answers.kv_bytes_peak);
  EXPECT_LT(answers.kv_bytes_peak, eval::kv_bytes_in_full(*run.model, run.options, document));
  EXPECT_EQ(steps.front(), 64);
  EXPECT_EQ(steps.back(), 700);
  ASSERT_EQ(answers.all.size(), document.facts.size());
  for (std::size_t i = 0; i < answers.all.size(); ++i) {
    const std::string& text = answers.all[i].text;
    EXPECT_EQ(text.find_first_of(".\n"), std::string::npos) << text;
    EXPECT_EQ(answers.all[i].is_right, text.find(document.facts[i].answer) != std::string::npos);
  }
}

TEST(DecodeSpeed, IsTakenWithTheWholeCacheAndWithTheEvictedOne) {
  const ModelRun run = run_of(PrefillMode::kFull);
  const eval::DecodeSpeeds speeds = eval::compare_decode_speed(run, prompt_of(*run.model, 400), 4, {});
  EXPECT_EQ(speeds.full.n_tokens_held, 400);
  EXPECT_EQ(speeds.evicted.n_tokens_held, 64 + 128);
  EXPECT_LT(speeds.evicted.kv_bytes, speeds.full.kv_bytes);
  EXPECT_GT(speeds.full.tokens_per_second, 0);
  EXPECT_GT(speeds.evicted.tokens_per_second, 0);
  EXPECT_THROW(static_cast<void>(eval::compare_decode_speed(run, {}, 4, {})), Error);
}

TEST(PromptPrefill, TheSameBitsWhetherItsProgressIsToldOrNot) {
  for (const PrefillMode mode : {PrefillMode::kFull, PrefillMode::kBounded}) {
    ModelRun run = run_of(mode);
    run.options.n_batch = run.options.n_ubatch = 64;
    const std::vector<Token> prompt = prompt_of(*run.model, 330);
    Session quiet(run.model, run.policy, run.options);
    static_cast<void>(prefill_prompt(quiet, prompt, {.n_new_tokens = 4, .is_last = true}));
    Session told(run.model, run.policy, run.options);
    std::int64_t n_told = 0;
    static_cast<void>(prefill_prompt(
        told, prompt,
        {.n_new_tokens = 4, .is_last = true, .on_filled = {}, .on_progress = [&](std::int64_t n) {
           EXPECT_GT(n, n_told);
           n_told = n;
         }}));
    EXPECT_GE(n_told, 329);
    EXPECT_EQ(told.stats().n_cells, quiet.stats().n_cells);
    EXPECT_TRUE(std::ranges::equal(told.logits(), quiet.logits()));
  }
}

}  // namespace
}  // namespace kvevict::test
