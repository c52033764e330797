// kvevict needle on the default model: what keeps the passkey's block finds it, what drops it does not.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

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

TEST(NeedleCommand, RefusesImpossibleLengthsAndDepths) {
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--lengths", "10"},
                                              {"--depths", "101"},
                                              {"--depths", "-1"},
                                              {"--keys", "0"}}) {
    std::vector<std::string> words = {"needle"};
    words.insert(words.end(), bad.begin(), bad.end());
    EXPECT_EQ(run_kvevict(words).exit_code, 2) << bad[0];
  }
}

}  // namespace
}  // namespace kvevict::test
