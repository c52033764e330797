// The main job on a real model: what a strategy keeps can be answered, what it evicts cannot.
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

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

/// A passkey in the middle of `n_lines` lines of filler (26 tokens each).
std::string passkey_context(int n_lines) {
  std::string text =
      "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will "
      "quiz you "
      "about the important information there.\n";
  for (int i = 0; i < n_lines; ++i) {
    if (i == n_lines / 2) text += "The pass key is 71432. Remember it. 71432 is the pass key.\n";
    text += "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n";
  }
  return text;
}

TEST(Passkey, IsAnsweredWhereItIsKeptAndLostWhereItIsEvicted) {
  const fs::path folder = make_work_folder();
  const Json row = {{"_id", "passkey"},
                    {"input", "What is the pass key? The pass key is"},
                    {"context", passkey_context(80)},
                    {"answers", {"71432"}},
                    {"length", 2000},
                    {"dataset", "narrativeqa"},
                    {"language", "en"},
                    {"all_classes", nullptr}};
  write(folder / "narrativeqa.jsonl", row.dump() + "\n");
  write(folder / "dataset2prompt.json", R"({"narrativeqa": "{context}{input}"})");
  const ProgramResult result = run_kvevict(
      {"longbench", "--data_dir", folder, "--longbench_config", folder, "--dataset", "narrativeqa", "--chat",
       "off", "--max_new_tokens", "8", "--strategies",
       "full,sink_recent:64:256,sink_recent_uniform:64:256:stride=2", "--output", folder / "out.json"},
      {.environment = {"KVEVICT_MODEL=" + default_model_path().string()}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json runs = Json::parse(std::ifstream(folder / "out.json")).at("runs");
  ASSERT_EQ(runs.size(), 3U);
  const auto prediction = [&](std::size_t run) {
    return runs[run].at("datasets")[0].at("examples")[0].at("prediction").get<std::string>();
  };
  EXPECT_NE(prediction(0).find("71432"), std::string::npos) << prediction(0);
  EXPECT_EQ(prediction(1).find("71432"), std::string::npos) << prediction(1);
  EXPECT_NE(prediction(2).find("71432"), std::string::npos) << prediction(2);
  const Json& kept_all = runs[0].at("datasets")[0].at("examples")[0];
  EXPECT_GE(kept_all.at("prompt_tokens"), 2000);
  EXPECT_EQ(kept_all.at("kept_tokens"), kept_all.at("prompt_tokens"));
}

}  // namespace
}  // namespace kvevict::test
