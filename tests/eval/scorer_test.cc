#include "kvevict/scorer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "kvevict/error.h"
#include "kvevict/longbench_dataset.h"

namespace kvevict {
namespace {

using Json = nlohmann::json;

const Scorer& scorer() {
  static const Scorer kScorer(std::filesystem::path(KVEVICT_DATA_DIR) / "jieba");
  return kScorer;
}

/// Scores every case of a known data set; returns how many there were.
int expect_official_scores(const std::string& name) {
  std::set<std::string> known;
  for (const LongBenchDataset& dataset : longbench_datasets()) known.insert(std::string(dataset.name));
  std::ifstream file(std::filesystem::path(KVEVICT_TEST_DATA_DIR) / name);
  int n = 0;
  for (std::string line; std::getline(file, line);) {
    const Json row = Json::parse(line);
    if (!known.contains(row.at("dataset").get<std::string>())) continue;
    const ScoreCase score_case{row.at("dataset"), row.at("prediction"), row.at("answers"), {}};
    EXPECT_NEAR(scorer().score(score_case), row.at("score").get<double>(), 1e-12) << line;
    ++n;
  }
  return n;
}

TEST(Scorer, EqualsTheOfficialScoresOfTheGivenExamples) {
  EXPECT_GE(expect_official_scores("score_examples.jsonl"), 40);
}

TEST(Scorer, EqualsTheRecordedScoresOfMixtures) { EXPECT_EQ(expect_official_scores("score_more.jsonl"), 800); }

TEST(Scorer, TakesTheBestAnswer) {
  EXPECT_DOUBLE_EQ(scorer().score({"qasper", "blue whale", {"red", "the blue whale"}, {}}), 1.0);
  EXPECT_DOUBLE_EQ(scorer().score({"qasper", "blue whale", {}, {}}), 0.0);
}

TEST(Scorer, RefusesAnUnknownDataSetByName) {
  try {
    static_cast<void>(scorer().score({"narrativqa", "x", {"x"}, {}}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("narrativqa"), std::string::npos);
  }
}

TEST(DatasetScore, RoundsAsPython) {
  const std::vector<double> third = {1.0, 0.0, 0.0};
  EXPECT_DOUBLE_EQ(dataset_score(third), 33.33);
  const std::vector<double> tie = {0.02675};  // 100 x is 2.675, in binary a little less
  EXPECT_DOUBLE_EQ(dataset_score(tie), 2.67);
  const std::vector<double> exact_half = {0.00125};  // 0.125: half to even
  EXPECT_DOUBLE_EQ(dataset_score(exact_half), 0.12);
}

}  // namespace
}  // namespace kvevict
