// kvevict needle on the default model: what keeps the passkey's block finds it, what drops it does not.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

using Json = nlohmann::json;

TEST(NeedleCommand, MapsLengthsDepthsAndStrategies) {
  const std::filesystem::path folder = make_work_folder();
  const ProgramResult result =
      run_kvevict({"needle", "--lengths", "300,400", "--depths", "0,50", "--strategies",
                   "full,sink_recent:16:48", "--output", folder / "map.json"},
                  {.environment = {"KVEVICT_MODEL=" + default_model_path().string()}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json map = Json::parse(std::ifstream(folder / "map.json"));
  EXPECT_EQ(map.at("schema"), "kvevict-needle/1");
  ASSERT_EQ(map.at("runs").size(), 2U);
  for (const Json& run : map.at("runs")) {
    ASSERT_EQ(run.at("answers").size(), 4U);
    const bool evicts = run.at("run").at("name") != "full";
    for (const Json& answer : run.at("answers")) {
      EXPECT_LE(answer.at("prompt_tokens"), answer.at("length"));
      EXPECT_GT(answer.at("prompt_tokens").get<int>() + 40, answer.at("length").get<int>());
      if (evicts) {
        EXPECT_EQ(answer.at("kept_tokens"), 64);
      }
      if (evicts && answer.at("depth") == 50) {
        EXPECT_EQ(answer.at("found"), false) << answer;
      }
    }
  }
  EXPECT_NE(result.out.find("50 %"), std::string::npos) << result.out;
}

TEST(NeedleCommand, AsksForEachOfSeveralCodesAfterTheEviction) {
  const std::filesystem::path folder = make_work_folder();
  const std::filesystem::path text = std::filesystem::path(KVEVICT_SOURCE_DIR) / "docs" / "design.md";
  const ProgramResult result =
      run_kvevict({"needle", "--needles", "codes", "--question", "after", "--text", text, "--lengths", "400",
                   "--strategies", "full,sink_recent:4:60,snapkv:4:32:28", "--output", folder / "map.json"},
                  {.environment = {"KVEVICT_MODEL=" + default_model_path().string()}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("question=after"), std::string::npos) << result.out;
  const Json map = Json::parse(std::ifstream(folder / "map.json"));
  EXPECT_EQ(map.at("depths"), (Json{10, 35, 60, 85}));
  ASSERT_EQ(map.at("runs").size(), 3U);
  for (const Json& run : map.at("runs")) {
    const std::string name = run.at("run").at("name");
    EXPECT_TRUE(name.ends_with(":question=after")) << name;
    EXPECT_EQ(run.at("run").at("configuration").at("question"), "after");
    EXPECT_EQ(run.at("run").at("configuration").at("needles"), "codes");
    ASSERT_EQ(run.at("answers").size(), 4U);
    std::set<std::string> subjects;
    int n_found = 0;
    for (const Json& answer : run.at("answers")) {
      subjects.insert(answer.at("subject"));
      n_found += answer.at("found") ? 1 : 0;
      const int n_kept = answer.at("kept_tokens");
      if (name.starts_with("full")) {
        EXPECT_EQ(n_kept, answer.at("prompt_tokens"));
      } else {
        EXPECT_GT(n_kept, 64) << "the question comes on top";
        EXPECT_LT(n_kept, 64 + 30) << name;
      }
    }
    EXPECT_EQ(subjects.size(), 4U) << "each is asked for once";
    if (name.starts_with("full")) {
      EXPECT_GE(n_found, 2);
    } else if (name.starts_with("sink_recent")) {
      EXPECT_LE(n_found, 1) << "what was evicted cannot be answered";
    }
  }
}

TEST(NeedleCommand, RefusesImpossibleLengthsAndDepths) {
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{"--lengths", "10"},
        {"--depths", "101"},
        {"--depths", "-1"},
        {"--keys", "0"},
        {"--needles", "coins"},
        {"--question", "never"},
        {"--needles", "codes", "--depths", "1,2,3,4,5,6,7,8,9,10,11,12,13"}}) {
    std::vector<std::string> words = {"needle"};
    words.insert(words.end(), bad.begin(), bad.end());
    EXPECT_EQ(run_kvevict(words).exit_code, 2) << bad[0];
  }
}

}  // namespace
}  // namespace kvevict::test
