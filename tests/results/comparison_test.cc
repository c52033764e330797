#include "results/comparison.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "support/example_results.h"

namespace kvevict::eval {
namespace {

std::vector<Results> two_files() {
  return {example_results({"full"}, {1.0, 0.9, 0.0, 0.4}),
          example_results({"sink_recent"}, {0.0, 0.8, 0.0, 0.6})};
}

std::vector<NamedRun> named(const std::vector<Results>& files) {
  return name_runs({"a.json", "b/b.json"}, files);
}

void expect_refused(const std::vector<Results>& files, const std::string& words) {
  try {
    static_cast<void>(compare_runs(named(files), false));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
  EXPECT_NO_THROW(static_cast<void>(compare_runs(named(files), true)));
}

TEST(Comparison, DeltasAreOverTheSameExamples) {
  std::vector<Results> files = two_files();
  files[1].runs[0].datasets[0].examples.erase(files[1].runs[0].datasets[0].examples.begin() + 1);
  const Comparison comparison = compare_runs(named(files), false);
  EXPECT_EQ(comparison.n_left_out, 1U);
  ASSERT_EQ(comparison.datasets.size(), 1U) << "one data set needs no line for all";
  EXPECT_EQ(comparison.datasets[0].n_examples, 3U);
  EXPECT_NEAR(comparison.datasets[0].runs[0].score, 140.0 / 3, 1e-9);
  EXPECT_NEAR(comparison.datasets[0].runs[1].against_first->difference, -80.0 / 3, 1e-9);
  EXPECT_DOUBLE_EQ(comparison.datasets[0].runs[1].against_first->p_value, 1.0)
      << "two differences: 2 of 4 signs, and both";
  EXPECT_FALSE(comparison.datasets[0].runs[0].against_first.has_value());
}

TEST(Comparison, FlipsShowBothAnswers) {
  std::vector<Results> files = two_files();
  files[1].runs[0].datasets[0].examples[0].prediction = "wrong";
  const Comparison comparison = compare_runs(named(files), false);
  ASSERT_EQ(comparison.flips.size(), 2U);
  EXPECT_EQ(comparison.flips[0].id, "a");
  EXPECT_EQ(comparison.flips[0].prediction_first, "answer to a");
  EXPECT_EQ(comparison.flips[0].prediction, "wrong");
  EXPECT_EQ(comparison.flips[1].id, "d");
}

TEST(Comparison, AllDataSetsWeighTheSame) {
  std::vector<Results> files = two_files();
  for (std::size_t i = 0; i < 2; ++i) {
    files[i].runs[0].datasets.push_back(
        {.name = "hotpotqa", .examples = {example_result("x", i == 0 ? 0.0 : 1.0)}});
  }
  const Comparison comparison = compare_runs(named(files), false);
  ASSERT_EQ(comparison.datasets.size(), 3U);
  EXPECT_EQ(comparison.datasets[2].dataset, "all");
  EXPECT_EQ(comparison.datasets[2].n_examples, 5U);
  EXPECT_NEAR(comparison.datasets[2].runs[1].against_first->difference, (-22.5 + 100) / 2, 1e-9);
  EXPECT_NEAR(comparison.datasets[2].runs[1].score, (35.0 + 100) / 2, 1e-9);
}

TEST(Comparison, SharedTimesGiveNoSpeed) {
  std::vector<Results> files = two_files();
  EXPECT_TRUE(compare_runs(named(files), false).datasets[0].runs[1].prefill_tokens_per_second.has_value());
  files[1].runs[0].datasets[0].examples[2].n_sharing = 2;
  EXPECT_FALSE(compare_runs(named(files), false).datasets[0].runs[1].prefill_tokens_per_second.has_value());
}

TEST(Comparison, RefusesDifferentModelsDataAndPrompts) {
  auto files = two_files();
  files[1].runs[0].info.model_sha256 = "other";
  expect_refused(files, "model is abcd there and other here");
  files = two_files();
  files[1].data[0].sha256 = "other";
  expect_refused(files, "data of qasper");
  files = two_files();
  files[1].runs[0].info.configuration["prompt_template_sha256.qasper"] = "other";
  expect_refused(files, "prompt_template_sha256.qasper");
  files = two_files();
  files[1].runs[0].datasets[0].examples[1].prompt_sha256 = "other";
  expect_refused(files, "prompts of qasper example b");
}

TEST(Comparison, RefusesOneRunAndNothingInCommon) {
  std::vector<Results> files = {example_results({"full"}, {1.0})};
  EXPECT_THROW(static_cast<void>(compare_runs(name_runs({"a.json"}, files), true)), Error);
  files = two_files();
  files[1].runs[0].datasets[0].name = "hotpotqa";
  EXPECT_THROW(static_cast<void>(compare_runs(named(files), true)), Error);
}

TEST(NameRuns, AddsTheFileWhereStrategiesRepeat) {
  std::vector<Results> files = two_files();
  EXPECT_EQ(named(files)[1].name, "sink_recent");
  files[1] = files[0];
  EXPECT_EQ(named(files)[0].name, "a:full");
  EXPECT_EQ(named(files)[1].name, "b:full");
  EXPECT_EQ(name_runs({"x/a.json", "y/a.json"}, files)[1].name, "y/a.json:full");
}

}  // namespace
}  // namespace kvevict::eval
