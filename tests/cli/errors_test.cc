// Bad input gets one sentence, whichever command meets it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/program.h"
#include "support/work_folder.h"

namespace kvevict::cli {
namespace {

std::string text_file() {
  return std::string(KVEVICT_SOURCE_DIR) + "/README.md";
}

/// One line that says "kvevict: …" and is no surprise to the program.
void expect_one_sentence(const test::ProgramResult& run, const std::string& command) {
  EXPECT_TRUE(run.exit_code == 1 || run.exit_code == 2) << command << ": " << run.exit_code;
  EXPECT_EQ(run.err.find("unexpected error"), std::string::npos) << command << ": " << run.err;
  EXPECT_EQ(run.err.find("filesystem error"), std::string::npos) << command << ": " << run.err;
  EXPECT_NE(run.err.find("kvevict: "), std::string::npos) << command << ": " << run.err;
}

TEST(Errors, ANameThatNoFileSystemTakesIsRefusedInOneSentence) {
  const std::string name(5000, 'x');
  const std::vector<std::vector<std::string>> commands = {
      {"generate", "--file", name},
      {"generate", "--model", name, "--prompt", "x"},
      {"perplexity", name},
      {"stream", name},
      {"stream", text_file(), "--checkpoint", name, "--total_tokens", "10"},
      {"chat", "--load", name},
      {"overhead", name},
      {"longbench", "--data_dir", name},
      {"longbench", "--demo_mode", "--output", name},
      {"needle", "--output", name},
      {"tune", "--kv_memory", "6MiB", "--output", name},
      {"compare", name, name},
      {"merge", name, "--output", name},
      {"report", name, "--output", name},
      {"visualize", "--from", name},
      {"visualize", "--save", name + ".svg"},
      {"plan", "--mask", name + ".png", "--prefill", "bounded"},
      {"score", name},
      {"longbench", "--strategies", name + ".yaml"},
  };
  for (const std::vector<std::string>& command : commands) {
    expect_one_sentence(test::run_kvevict(command), command[0] + " " + command[1].substr(0, 20));
  }
}

TEST(Errors, ALibrarysSentenceIsGivenTheFlagOfItsCommand) {
  const auto run =
      test::run_kvevict({"generate", "--prompt", "x", "--strategy", "sink_recent", "--recent_tokens", "0"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("(--recent_tokens)"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace kvevict::cli
