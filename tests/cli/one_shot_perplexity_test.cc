// kvevict perplexity --evict_at: passages with one eviction each, and what is judged behind it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const fs::path kText = fs::path(KVEVICT_SOURCE_DIR) / "docs" / "design.md";

Json runs_of(const std::vector<std::string>& more) {
  const fs::path folder = make_work_folder();
  const fs::path file = folder / "perplexity.json";
  std::vector<std::string> words = {"perplexity", kText, "--window", "64", "--output", file};
  words.insert(words.end(), more.begin(), more.end());
  const ProgramResult result = run_kvevict(words);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return Json::parse(std::ifstream(file)).at("runs");
}

TEST(OneShotPerplexity, WithoutEvictionItIsThatOfTheStreamedText) {
  const Json streamed = runs_of({"--strategies", "full", "--total_tokens", "256"}).at(0);
  const Json once = runs_of({"--strategies", "full", "--total_tokens", "256", "--evict_at", "192"}).at(0);
  ASSERT_EQ(once.at("windows").size(), 1U);
  EXPECT_EQ(once.at("windows").at(0).at("tokens_seen"), 256);
  const double expected = streamed.at("windows").at(3).at("perplexity");
  EXPECT_NEAR(once.at("perplexity").get<double>() / expected, 1.0, 0.02);
}

TEST(OneShotPerplexity, EachPassageIsEvictedOnceAndItsWindowComesOnTop) {
  const Json runs = runs_of(
      {"--strategies", "full,sink_recent:4:28,h2o:4:14:14", "--total_tokens", "600", "--evict_at", "128"});
  ASSERT_EQ(runs.size(), 3U);
  for (const Json& run : runs) {
    EXPECT_EQ(run.at("tokens"), 3 * 192) << "three whole passages";
    ASSERT_EQ(run.at("windows").size(), 3U);
    EXPECT_EQ(run.at("windows").at(1).at("tokens_seen"), 384);
    EXPECT_EQ(run.at("run").at("configuration").at("evict_at"), "128");
    const bool evicts = run.at("run").at("name") != "full";
    EXPECT_EQ(run.at("tokens_held_peak"), evicts ? 127 : 192) << "32 and 64 are less";
  }
  EXPECT_NE(runs.at(0).at("perplexity"), runs.at(1).at("perplexity"));
}

TEST(OneShotPerplexity, RefusesWhatCannotBe) {
  const fs::path folder = make_work_folder();
  std::ofstream(folder / "short.txt") << "A short text.";
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{kText, "--evict_at", "1"},
        {kText, "--evict_at", "64", "--prefill", "bounded"},
        {folder / "short.txt", "--evict_at", "64", "--strategies", "full"}}) {
    std::vector<std::string> words = {"perplexity", "--output", folder / "out.json"};
    words.insert(words.end(), bad.begin(), bad.end());
    const ProgramResult result = run_kvevict(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_FALSE(fs::exists(folder / "out.json"));
  }
}

}  // namespace
}  // namespace kvevict::test
