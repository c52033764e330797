// kvevict longbench --question after: the order is in the results, and results of different orders stay
// apart.
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

ProgramResult run_qasper(const fs::path& output, std::vector<std::string> more) {
  std::vector<std::string> words = {"longbench",
                                    "--dataset",
                                    "qasper",
                                    "--data_dir",
                                    fs::path(KVEVICT_DATA_DIR) / "demo",
                                    "--num_examples",
                                    "2",
                                    "--max_new_tokens",
                                    "4",
                                    "--output",
                                    output};
  words.insert(words.end(), more.begin(), more.end());
  return run_kvevict(words);
}

Json examples_of(const fs::path& file, std::size_t run) {
  return Json::parse(std::ifstream(file)).at("runs").at(run).at("datasets").at(0).at("examples");
}

TEST(LongBenchQuestion, WhatIsKeptDoesNotDependOnTheQuestionAndTheOrderIsInTheResults) {
  const fs::path folder = make_work_folder();
  const std::vector<std::string> words = {
      "--max_length", "400", "--strategies",
      "full,sink_recent:4:60,snapkv:4:32:28:per_layer=0,sink_recent:4:60:prefill=bounded"};
  std::vector<std::string> after_words = words;
  after_words.insert(after_words.end(), {"--question", "after"});
  const ProgramResult after = run_qasper(folder / "after.json", after_words);
  ASSERT_EQ(after.exit_code, 0) << after.err;
  EXPECT_NE(after.out.find("full:question=after"), std::string::npos) << after.out;
  EXPECT_NE(after.out.find("on top of the\nbudget"), std::string::npos) << after.out;
  const ProgramResult before = run_qasper(folder / "before.json", words);
  ASSERT_EQ(before.exit_code, 0) << before.err;
  EXPECT_EQ(before.out.find("question="), std::string::npos) << before.out;
  const Json info = Json::parse(std::ifstream(folder / "after.json")).at("runs").at(1).at("run");
  EXPECT_EQ(info.at("configuration").at("question"), "after");
  for (std::size_t run = 1; run < 4; ++run) {
    const Json of_after = examples_of(folder / "after.json", run);
    const Json of_before = examples_of(folder / "before.json", run);
    for (std::size_t i = 0; i < of_after.size(); ++i) {
      EXPECT_EQ(of_after[i].at("prompt_sha256"), of_before[i].at("prompt_sha256")) << "the same prompt";
      EXPECT_EQ(of_after[i].at("prompt_tokens"), of_before[i].at("prompt_tokens"));
      EXPECT_GT(of_after[i].at("kept_tokens"), 64 + 10) << run;
      EXPECT_EQ(of_after[i].at("kept_ranges").back().at(1), of_after[i].at("prompt_tokens"));
    }
  }
  const ProgramResult resumed = run_qasper(folder / "before.json", after_words);
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_NE(resumed.err.find("question"), std::string::npos) << resumed.err;
  const ProgramResult merged =
      run_kvevict({"merge", folder / "before.json", folder / "after.json", "--output", folder / "all.json"});
  EXPECT_EQ(merged.exit_code, 2);
  EXPECT_NE(merged.err.find("question=after"), std::string::npos) << merged.err;
  const ProgramResult compared =
      run_kvevict({"compare", folder / "before.json", folder / "after.json", "--flips", "0"});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_NE(compared.out.find("sink_recent:4:60:prefill=full:question=after"), std::string::npos)
      << compared.out;
}

TEST(LongBenchQuestion, RefusesWhatCutsTheQuestionOrContradictsIt) {
  const fs::path folder = make_work_folder();
  const ProgramResult cut = run_qasper(folder / "a.json", {"--max_length", "20", "--question", "after"});
  EXPECT_EQ(cut.exit_code, 2);
  EXPECT_NE(cut.err.find("its question alone has"), std::string::npos) << cut.err;
  const ProgramResult full = run_qasper(folder / "b.json", {"--first_token", "full", "--question", "after"});
  EXPECT_EQ(full.exit_code, 2);
  EXPECT_NE(full.err.find("--first_token full"), std::string::npos) << full.err;
  std::ofstream(folder / "dataset2prompt.json") << R"({"qasper": "{input}\n{context}"})";
  const ProgramResult none =
      run_qasper(folder / "c.json", {"--longbench_config", folder, "--chat", "off", "--question", "after"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.err.find("nothing stands behind the context"), std::string::npos) << none.err;
}

TEST(LongBenchQuestion, WithAChatTemplateItsEndIsTheQuestions) {
  const fs::path folder = make_work_folder();
  std::ofstream(folder / "dataset2prompt.json") << R"({"qasper": "{input}\n{context}"})";
  const ProgramResult result =
      run_qasper(folder / "c.json", {"--longbench_config", folder, "--chat", "on", "--question", "after",
                                     "--max_length", "300", "--strategies", "sink_recent:4:60"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const Json& example : examples_of(folder / "c.json", 0)) {
    EXPECT_GT(example.at("kept_tokens"), 64);
    EXPECT_LT(example.at("kept_tokens"), 64 + 12) << "the end of the chat template comes on top";
  }
  const ProgramResult dry =
      run_qasper(folder / "d.json", {"--question", "after", "--strategies", "sink_recent:4:60", "--dry_run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
}

}  // namespace
}  // namespace kvevict::test
