// kvevict score as a user runs it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/program.h"

namespace kvevict::test {
namespace {

TEST(ScoreCommand, ReadsWhatLongBenchsOwnScriptWrites) {
  const std::string folder = make_work_folder();
  const std::string rows =
      "{\"pred\": \"the red door\", \"answers\": [\"red door\"], \"all_classes\": null, \"length\": 900}\n"
      "{\"pred\": \"blue\", \"answers\": [\"red door\"], \"all_classes\": null, \"length\": 5000}\n";
  for (const char* name : {"qasper", "qasper_e"}) {
    const std::string file = folder + "/" + name + ".jsonl";
    std::ofstream(file) << rows;
    const ProgramResult run = run_kvevict({"score", "--input", file, "--output", folder + "/scores.jsonl"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_NE(run.out.find(name), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("50.00"), std::string::npos) << run.out;
  }
  std::filesystem::rename(folder + "/qasper.jsonl", folder + "/mine.jsonl");
  const ProgramResult unknown =
      run_kvevict({"score", "--input", folder + "/mine.jsonl", "--output", folder + "/scores.jsonl"});
  EXPECT_NE(unknown.exit_code, 0);
  EXPECT_NE(unknown.err.find("mine"), std::string::npos) << unknown.err;
}

}  // namespace
}  // namespace kvevict::test
