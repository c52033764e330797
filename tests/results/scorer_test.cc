#include "results/scorer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "kvevict/error.h"
#include "results/longbench_dataset.h"

namespace kvevict::eval {
namespace {

using Json = nlohmann::json;

const Scorer& scorer() {
  static const Scorer kScorer(std::filesystem::path(KVEVICT_DATA_DIR) / "jieba");
  return kScorer;
}

std::vector<std::string> texts_or_none(const Json& value) {
  return value.is_null() ? std::vector<std::string>() : value.get<std::vector<std::string>>();
}

/// Scores every case of the file; returns how many there were of each data set.
std::map<std::string, int> expect_official_scores(const std::string& name) {
  std::map<std::string, int> n;
  std::ifstream file(std::filesystem::path(KVEVICT_TEST_DATA_DIR) / name);
  for (std::string line; std::getline(file, line);) {
    const Json row = Json::parse(line);
    const ScoreCase c{row.at("dataset"), row.at("prediction"), row.at("answers"),
                      texts_or_none(row.at("all_classes"))};
    EXPECT_NEAR(scorer().score(c), row.at("score").get<double>(), 1e-12) << line;
    ++n[c.dataset];
  }
  return n;
}

int total(const std::map<std::string, int>& counts) {
  int n = 0;
  for (const auto& item : counts) n += item.second;
  return n;
}

TEST(Scorer, EqualsTheOfficialScoresOfTheGivenExamples) {
  const auto counts = expect_official_scores("score_examples.jsonl");
  EXPECT_EQ(counts.size(), longbench_datasets().size());
  EXPECT_EQ(total(counts), 120);
}

TEST(Scorer, EqualsTheRecordedScoresOfMixturesAndLongSentences) {
  const auto counts = expect_official_scores("score_more.jsonl");
  EXPECT_EQ(counts.size(), longbench_datasets().size());
  EXPECT_EQ(total(counts), 2496);
}

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
    EXPECT_NE(std::string(error.what()).find("\"narrativqa\": the nearest is narrativeqa;"),
              std::string::npos);
  }
}

TEST(Scorer, RefusesARetrievalAnswerWithoutAParagraph) {
  EXPECT_THROW(static_cast<void>(scorer().score({"passage_retrieval_en", "3", {"three"}, {}})), Error);
}

TEST(LongBenchDataset, TwinsOfLongBenchEAreTheirRows) {
  EXPECT_EQ(longbench_dataset("repobench-p_e").name, "repobench-p");
  EXPECT_TRUE(is_longbench_e("qasper_e"));
  EXPECT_FALSE(is_longbench_e("qasper"));
  EXPECT_THROW(static_cast<void>(longbench_dataset("musique_e")), Error);
  int n_in_e = 0;
  for (const LongBenchDataset& dataset : longbench_datasets()) n_in_e += dataset.is_in_longbench_e ? 1 : 0;
  EXPECT_EQ(n_in_e, 13);
}

TEST(LongBenchEScores, EqualNumpys) {
  std::ifstream file(std::filesystem::path(KVEVICT_TEST_DATA_DIR) / "length_scores.jsonl");
  int n = 0;
  for (std::string line; std::getline(file, line); ++n) {
    const Json row = Json::parse(line);
    std::vector<LengthScore> scores;
    for (std::size_t i = 0; i < row.at("lengths").size(); ++i)
      scores.push_back({row["lengths"][i], row["scores"][i]});
    const LengthScores buckets = longbench_e_scores(scores);
    const auto expect = [&](const char* name, const std::optional<double>& value) {
      const Json& wanted = row.at("buckets").at(name);
      EXPECT_EQ(value.has_value(), !wanted.is_null()) << name << " " << n;
      if (value && !wanted.is_null()) {
        EXPECT_DOUBLE_EQ(*value, wanted.get<double>()) << name << " " << n;
      }
    };
    expect("0-4k", buckets.up_to_4k);
    expect("4-8k", buckets.up_to_8k);
    expect("8k+", buckets.longer);
  }
  EXPECT_EQ(n, 7);
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
}  // namespace kvevict::eval
