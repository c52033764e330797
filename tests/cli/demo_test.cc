// kvevict demo, as a newcomer runs it: on a model of short contexts, so that it takes seconds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/paragraph.h"
#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

ProgramResult run_demo(const ProgramOptions& options, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"demo",
                                    "--model",
                                    short_context_model_path(),
                                    "--questions",
                                    "1",
                                    "--document_tokens",
                                    "1200",
                                    "--prompt_tokens",
                                    "400",
                                    "--new_tokens",
                                    "8"};
  words.insert(words.end(), more.begin(), more.end());
  return run_kvevict(words, options);
}

/// Without the line breaks, which depend on the words before them.
std::string in_one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

/// The name of a file is as long as it is.
void expect_no_wide_line(const std::string& text) {
  const std::string model = short_context_model_path();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(model) != std::string::npos) continue;
    EXPECT_LE(cli::count_characters(line), cli::kPageWidth) << line;
  }
}

TEST(DemoCommand, ShowsItsFivePartsAndLeavesItsFiles) {
  const fs::path folder = make_work_folder();
  const ProgramResult result = run_demo({.folder = folder});
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  for (const char* part :
       {"1. ", "2. ", "3. ", "4. ", "5. ", "codes found", "keydiff:4:", "6 questions", "against full",
        "refused: a full prefill would hold", "contexts of 512", "tokens are kept. K and V take", "tokens/s",
        "times as fast", "S: sink up to 64", "Files in kvevict-demo", "kvevict generate --model"}) {
    EXPECT_NE(in_one_line(result.out).find(part), std::string::npos) << part << " is not in\n" << result.out;
  }
  expect_no_wide_line(result.out);
  EXPECT_EQ(result.out.find("narrativeqa narrativeqa"), std::string::npos) << result.out;
  const Json runs = Json::parse(std::ifstream(folder / "kvevict-demo" / "results.json")).at("runs");
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[1].at("datasets").size(), 6U);
  EXPECT_EQ(runs[1].at("run").at("status"), "complete");
  const bool has_gnuplot = result.out.find("No picture") == std::string::npos;
  EXPECT_EQ(fs::exists(folder / "kvevict-demo" / "cache.png"), has_gnuplot);
  EXPECT_EQ(fs::exists(folder / "kvevict-demo" / "report.html"), has_gnuplot);
}

TEST(DemoCommand, WithoutGnuplotItSaysOnceThatThereIsNoPicture) {
  const fs::path folder = make_work_folder();
  const ProgramResult result = run_demo({.environment = {"PATH=/nowhere"}}, {"--output", folder / "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  const std::size_t at = result.out.find("No picture and no report:");
  ASSERT_NE(at, std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("No picture", at + 1), std::string::npos);
  EXPECT_TRUE(fs::exists(folder / "out" / "results.json"));
  EXPECT_FALSE(fs::exists(folder / "out" / "report.html"));
}

TEST(DemoCommand, ImpossibleValuesAreRefusedBeforeTheModelIsLoaded) {
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--questions", "0"},
                                              {"--document_tokens", "10"},
                                              {"--prompt_tokens", "1"},
                                              {"--new_tokens", "0"}}) {
    const ProgramResult result = run_kvevict({"demo", "--model", "/no/such.gguf", bad[0], bad[1]});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find(bad[0]), std::string::npos) << result.err;
  }
  const ProgramResult missing =
      run_kvevict({"demo", "--model", "/no/such.gguf", "--output", make_work_folder()});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.err.find("/no/such.gguf"), std::string::npos) << missing.err;
  EXPECT_EQ(missing.out, "");
  const ProgramResult blocked = run_kvevict({"demo", "--output", "/proc/nowhere"});
  EXPECT_EQ(blocked.exit_code, 1);
  EXPECT_NE(blocked.err.find("/proc/nowhere"), std::string::npos) << blocked.err;
}

}  // namespace
}  // namespace kvevict::test
