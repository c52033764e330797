// The research baselines through the commands, on the default model: a ladder, and the policies that go by
// attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kAll =
    "full,sink_recent:4:124,ladder:4:60:64,h2o:0:64:64,h2o:0:64:64:per_layer=1,snapkv:0:32:96,tova:0:2:126";

Json read_json(const fs::path& path) {
  return Json::parse(std::ifstream(path));
}

/// Prose of a few thousand characters as a file.
fs::path text_file(const fs::path& folder) {
  const Json line = Json::parse([] {
    std::ifstream file(fs::path(KVEVICT_DATA_DIR) / "demo" / "multifieldqa_en.jsonl");
    std::string text;
    std::getline(file, text);
    return text;
  }());
  std::ofstream(folder / "text.txt") << line.at("context").get<std::string>();
  return folder / "text.txt";
}

TEST(ResearchBaselines, AnswerTheSameQuestionWithinTheSameBudget) {
  const fs::path folder = make_work_folder();
  const ProgramResult result =
      run_kvevict({"longbench", "--data_dir", fs::path(KVEVICT_DATA_DIR) / "demo", "--dataset",
                   "multifieldqa_en", "--num_examples", "1", "--max_length", "500", "--max_new_tokens", "6",
                   "--strategies", kAll, "--output", folder / "out.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json runs = read_json(folder / "out.json").at("runs");
  ASSERT_EQ(runs.size(), 7U);
  for (const Json& run : runs) {
    const std::string name = run.at("run").at("name");
    const Json& example = run.at("datasets").at(0).at("examples").at(0);
    const Json& kept = example.at("kept_ranges");
    const bool is_layered = name.starts_with("ladder") || name.starts_with("snapkv") ||
                            name.find("per_layer") != std::string::npos;
    const Json layers = is_layered ? kept.at("layers") : Json::array({kept});
    EXPECT_EQ(layers.size(), is_layered ? kShallowLayers : 1U) << name;
    if (name == "full") continue;
    EXPECT_EQ(example.at("kept_tokens"), 128) << name;
    for (const Json& layer : layers) {
      std::int64_t n = 0;
      for (const Json& range : layer) n += range.at(1).get<std::int64_t>() - range.at(0).get<std::int64_t>();
      EXPECT_EQ(n, 128) << name;
      EXPECT_EQ(layer.back().at(1), example.at("prompt_tokens")) << name;  // the newest is kept
    }
  }
  const ProgramResult picture = run_kvevict({"visualize", "--from", folder / "out.json", "--run",
                                             "ladder:4:60:64", "--save", (folder / "ladder.svg").string()});
  ASSERT_EQ(picture.exit_code, 0) << picture.err;
  EXPECT_NE(picture.out.find("on average over 4"), std::string::npos) << picture.out;  // drawn layer by layer
}

TEST(ResearchBaselines, StreamWithinTheirBudget) {
  const fs::path folder = make_work_folder();
  const fs::path text = text_file(folder);
  for (const std::string strategy :
       {"ladder:4:60:64", "h2o:0:64:64", "snapkv:0:32:96:per_layer=1", "tova:0:1:127"}) {
    const ProgramResult result = run_kvevict({"stream", text, "--json", "--strategy", strategy, "--chunk",
                                              "64", "--report_every", "64", "--total_tokens", "640"});
    ASSERT_EQ(result.exit_code, 0) << strategy << ": " << result.err;
    std::istringstream lines(result.out);
    int n_lines = 0;
    for (std::string line; std::getline(lines, line); ++n_lines) {
      EXPECT_LE(Json::parse(line).at("cells_used"), 128 + 64) << strategy;  // llama.cpp's own count
    }
    EXPECT_EQ(n_lines, 10) << strategy;
  }
}

TEST(ResearchBaselines, OverheadIsMeasuredBesideLlamaAlone) {
  const fs::path folder = make_work_folder();
  const ProgramResult result = run_kvevict(
      {"overhead", text_file(folder), "--prompt_tokens", "200", "--max_new_tokens", "3", "--rounds", "2",
       "--strategies", "full,ladder:4:60:64,tova:0:1:127", "--output", folder / "out.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("llama.cpp alone"), std::string::npos);
  const Json file = read_json(folder / "out.json");
  EXPECT_EQ(file.at("schema"), "kvevict-overhead/1");
  EXPECT_EQ(file.at("plain").size(), 2U);
  ASSERT_EQ(file.at("runs").size(), 3U);
  for (const Json& run : file.at("runs")) {
    ASSERT_EQ(run.at("samples").size(), 2U);
    EXPECT_GT(run.at("samples").at(0).at("seconds_prefill"), 0);
  }
  EXPECT_EQ(run_kvevict({"overhead", text_file(folder), "--prompt_tokens", "1000000"}).exit_code, 2);
}

TEST(ResearchBaselines, AreJudgedByPasskeysAndByPerplexity) {
  const fs::path folder = make_work_folder();
  const char* const strategies = "sink_recent:4:60,ladder:4:30:30,h2o:0:32:32";
  const ProgramResult needle = run_kvevict({"needle", "--lengths", "200", "--depths", "50", "--strategies",
                                            strategies, "--output", folder / "needle.json"});
  ASSERT_EQ(needle.exit_code, 0) << needle.err;
  for (const Json& run : read_json(folder / "needle.json").at("runs"))
    EXPECT_EQ(run.at("answers").at(0).at("kept_tokens"), 64);
  const ProgramResult perplexity =
      run_kvevict({"perplexity", text_file(folder), "--window", "64", "--chunk", "32", "--total_tokens",
                   "256", "--strategies", strategies, "--output", folder / "perplexity.json"});
  ASSERT_EQ(perplexity.exit_code, 0) << perplexity.err;
  for (const Json& run : read_json(folder / "perplexity.json").at("runs")) {
    EXPECT_EQ(run.at("tokens"), 256);
    EXPECT_LE(run.at("tokens_held_peak"), 64 + 64);  // the slack, which is more than the chunk
    EXPECT_GT(run.at("perplexity"), 1);
  }
  const ProgramResult compared =
      run_kvevict({"compare", folder / "needle.json", "--plot", folder / "map.svg"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_NE(compared.out.find("passkeys found"), std::string::npos);
  EXPECT_GT(fs::file_size(folder / "map.svg"), 1000U);
  EXPECT_EQ(run_kvevict({"needle", "--dry_run"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"overhead", text_file(folder), "--dry_run"}).exit_code, 2);
}

TEST(ResearchBaselines, RefuseWhatCannotBe) {
  const fs::path folder = make_work_folder();
  const fs::path text = text_file(folder);
  const ProgramResult quantised = run_kvevict(
      {"generate", "-f", text, "--max_new_tokens", "2", "--strategy", "h2o:0:64:64", "--kv_type", "q8_0"});
  EXPECT_EQ(quantised.exit_code, 1);
  EXPECT_NE(quantised.err.find("goes by position"), std::string::npos) << quantised.err;
  const auto refused = [&](std::vector<std::string> words, const char* what) {
    words.insert(words.begin(), {"generate", "-f", text.string(), "--max_new_tokens", "2"});
    const ProgramResult result = run_kvevict(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  refused({"--strategy", "h2o:0:64:64", "--flash_attention", "on"}, "flash attention");
  refused({"--strategy", "ladder:4:60:64:layers=99"}, "99 layers");
  refused({"--strategy", "ladder:4:60:64:span=30"}, "cannot compress");
  refused({"--strategy", "ladder:4:60:64:span=4:overlap=4"}, "overlap");
  EXPECT_EQ(run_kvevict({"stream", text, "--strategy", "h2o:0:64:64", "--checkpoint", folder / "c.kvevict"})
                .exit_code,
            2);
}

}  // namespace
}  // namespace kvevict::test
