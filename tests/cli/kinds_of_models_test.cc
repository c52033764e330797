// What the commands make of their defaults for models of other kinds.
#include <gtest/gtest.h>

#include "cli/model_run.h"
#include "cli/prompt_flags.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::cli {
namespace {

EngineFlags bounded() {
  EngineFlags engine;
  engine.prefill = "bounded";
  return engine;
}

TEST(KindsOfModels, TheRecentWindowIsRaisedToThatOfTheModel) {
  const auto model = test::load_model(test::sliding_window_model_path());  // windows of 32 tokens
  const auto raised = make_run_policy(bounded(), parse_strategy("sink_recent:4:16"), *model);
  EXPECT_EQ(to_string(raised->spec()), "sink_recent:4:32");
  const auto longer = make_run_policy(bounded(), parse_strategy("sink_recent:4:100"), *model);
  EXPECT_EQ(to_string(longer->spec()), "sink_recent:4:100");
}

TEST(KindsOfModels, ALimitThatIsTooSmallForTheWindowIsRefused) {
  const auto model = test::load_model(test::sliding_window_model_path());
  EngineFlags engine = bounded();
  engine.batch = engine.ubatch = 32;
  const std::int64_t row = model->kv_bytes_per_token(KvType::kF16, KvType::kF16);
  engine.kv_memory = std::to_string(256 * row);  // the sink leaves 20 tokens beside a chunk
  try {
    static_cast<void>(make_run_policy(engine, parse_strategy("sink_recent:204:100"), *model));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("--kv_memory"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("window"), std::string::npos) << error.what();
  }
}

TEST(KindsOfModels, WhereThereIsNothingToEvictADefaultKeepsAll) {
  const auto model = test::load_model(test::recurrent_model_path());
  StrategyFlags flags;
  const std::vector<StrategySpec> specs = specs_for(*model, flags.specs("sink_recent"), flags);
  ASSERT_EQ(specs.size(), 1U);
  EXPECT_EQ(specs.front().name, "full");
  EXPECT_EQ(make_run(bounded(), specs.front(), model).policy->spec().name, "full");
  flags.strategy = "sink_recent:4:16";  // asked for by name
  EXPECT_THROW(
      static_cast<void>(make_run(bounded(), specs_for(*model, flags.specs("full"), flags).front(), model)),
      Error);
}

TEST(KindsOfModels, ADefaultFitsAShortContext) {
  const auto model = test::load_model(test::tiny_model_path());  // trained on 512 tokens
  const StrategyFlags flags;
  const ModelRun run =
      make_run(bounded(), specs_for(*model, flags.specs("sink_recent"), flags).front(), model);
  EXPECT_EQ(to_string(run.policy->spec()), "sink_recent:64:128");
  EXPECT_EQ(run.options.n_chunk, 128);
}

TEST(KindsOfModels, ADefaultStaysAbsoluteWhereRowsCannotRotate) {
  const auto model =
      test::load_model(test::yarn_rope_model_path());  // other frequencies than ggml's rotation
  const ModelRun run = make_run(bounded(), parse_strategy("ladder:4:60:60"), model);
  EXPECT_EQ(run.options.positions, PositionMode::kAbsolute);
  EXPECT_NO_THROW(Session(run.model, run.policy, run.options));
  EngineFlags named = bounded();
  named.positions = "packed";
  const ModelRun refused = make_run(named, parse_strategy("ladder:4:60:60"), model);
  EXPECT_THROW(Session(refused.model, refused.policy, refused.options), Error);
}

TEST(KindsOfModels, AHybridModelSaysWhereItsCacheIs) {
  const std::string model = test::talking_hybrid_model_path().string();
  const test::ProgramResult told =
      test::run_kvevict({"generate", "--model", model, "--prompt", "hello there", "--dry_run"});
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_NE(told.out.find(" in 3 of 5 layers"), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("fixed state"), std::string::npos) << told.out;
  const test::ProgramResult chat = test::run_kvevict({"generate", "--model", model, "--prompt", "hello there",
                                                      "--chat", "--max_new_tokens", "4", "--verbose"});
  EXPECT_EQ(chat.exit_code, 0) << chat.err;
  EXPECT_NE(chat.err.find("and a state of"), std::string::npos) << chat.err;
}

TEST(KindsOfModels, AChatGoesOnWithoutATemplateOfTheModelsOwn) {
  const auto model = test::load_model(test::hybrid_model_path());
  EXPECT_EQ(template_for_chat(*model, {}).source, "chatml");
  EXPECT_EQ(template_for_chat(*model, {.source = "llama3"}).source, "llama3");
}

}  // namespace
}  // namespace kvevict::cli
