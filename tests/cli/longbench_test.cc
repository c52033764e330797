// kvevict longbench, as a user runs it: on the real model, and with everything that can be wrong.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kGoodLine =
    R"({"_id": "a", "input": "What is blue?", "context": "The sky is blue. The grass is green.", "answers": ["the sky"], "length": 8, "dataset": "qasper", "language": "en", "all_classes": null})";

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

Json read_json(const fs::path& path) {
  return Json::parse(std::ifstream(path));
}

/// A folder with a qasper.jsonl of two short examples.
fs::path short_data() {
  fs::path folder = make_work_folder();
  std::string second = kGoodLine;
  second.replace(second.find("\"a\""), 3, "\"b\"");
  write(folder / "qasper.jsonl", std::string(kGoodLine) + "\n" + second + "\n");
  return folder;
}

std::vector<std::string> on(const fs::path& folder, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"longbench", "--data_dir", folder,
                                    "--dataset", "qasper",     "--max_new_tokens",
                                    "4",         "--output",   folder / "out.json"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(LongBenchCommand, TheResultsFileHoldsWhatItsDocumentSays) {
  const fs::path folder = short_data();
  const ProgramResult result =
      run_kvevict(on(folder, {"--strategies", "full,sink_recent:4:16,streaming_llm:4:16"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json file = read_json(folder / "out.json");
  EXPECT_EQ(file.at("schema"), "kvevict-results/1");
  ASSERT_EQ(file.at("runs").size(), 3U);
  for (const Json& run : file.at("runs")) {
    const Json& info = run.at("run");
    EXPECT_EQ(info.at("status"), "complete");
    EXPECT_EQ(info.at("model").at("sha256").get<std::string>().size(), 64U);
    for (const char* key : {"kvevict", "llama.cpp", "ggml", "backends"})
      EXPECT_TRUE(info.at("versions").contains(key)) << key;
    const Json& dataset = run.at("datasets").at(0);
    ASSERT_EQ(dataset.at("examples").size(), 2U);
    double sum = 0;
    for (const Json& example : dataset.at("examples")) {
      sum += example.at("score").get<double>();
      EXPECT_EQ(example.at("kept_tokens").get<int>() + example.at("evicted_tokens").get<int>(),
                example.at("prompt_tokens"));
      int n_in_ranges = 0;
      for (const Json& range : example.at("kept_ranges"))
        n_in_ranges += range.at(1).get<int>() - range.at(0).get<int>();
      EXPECT_EQ(n_in_ranges, example.at("kept_tokens"));
      EXPECT_GE(example.at("kv_bytes_peak"), example.at("kv_bytes_after_eviction"));
      EXPECT_TRUE(file.at("prompts").contains(example.at("prompt_sha256").get<std::string>()));
    }
    EXPECT_NEAR(dataset.at("score").get<double>(), 100 * sum / 2, 0.01);
  }
  EXPECT_EQ(file.at("runs")[1].at("run").at("name"), "sink_recent:4:16");
  EXPECT_EQ(file.at("runs")[1].at("datasets")[0].at("examples")[0].at("kept_tokens"), 20);
  EXPECT_EQ(file.at("runs")[1].at("run").at("configuration").at("positions"), "absolute");
  EXPECT_EQ(file.at("runs")[2].at("run").at("configuration").at("positions"), "packed");
  EXPECT_NE(result.out.find("tok/s"), std::string::npos) << result.out;
}

TEST(LongBenchCommand, APromptThatIsTooLongIsCutInTheMiddleAndTheRowSaysSo) {
  const fs::path folder = short_data();
  ASSERT_EQ(
      run_kvevict(on(folder, {"--strategy", "full", "--max_length", "20", "--num_examples", "1"})).exit_code,
      0);
  const Json example = read_json(folder / "out.json").at("runs")[0].at("datasets")[0].at("examples").at(0);
  EXPECT_EQ(example.at("truncated"), true);
  EXPECT_GT(example.at("prompt_tokens_before_cut"), 20);
}

TEST(LongBenchCommand, CtrlCKeepsWhatIsDone) {
  const fs::path folder = make_work_folder();
  std::string lines;
  for (int i = 0; i < 200; ++i) {
    std::string line = kGoodLine;
    lines += line.replace(line.find("\"a\""), 3, "\"" + std::to_string(i) + "\"") + "\n";
  }
  write(folder / "qasper.jsonl", lines);
  Program program(on(folder, {"--strategy", "sink_recent:4:16"}));
  ASSERT_TRUE(program.wait_for_stderr("2/200"));
  program.send_signal(SIGINT);
  const ProgramResult result = program.wait();
  EXPECT_EQ(result.exit_code, 130) << result.err;
  const Json run = read_json(folder / "out.json").at("runs").at(0);
  EXPECT_EQ(run.at("run").at("status"), "interrupted");
  EXPECT_GE(run.at("datasets")[0].at("examples").size(), 2U);
  EXPECT_LT(run.at("datasets")[0].at("examples").size(), 200U);
}

TEST(LongBenchCommand, ADryRunSaysWhatWouldBeNeededAndWritesNothing) {
  const fs::path folder = short_data();
  const ProgramResult result =
      run_kvevict(on(folder, {"--strategies", "full,sink_recent:4:16", "--dry_run"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* column : {"weights MiB", "KV peak MiB", "KV in budget MiB", "compute buffers MiB"}) {
    EXPECT_NE(result.out.find(column), std::string::npos) << result.out;
  }
  EXPECT_FALSE(fs::exists(folder / "out.json"));
}

TEST(LongBenchCommand, AMemoryLimitBecomesATokenBudgetThatHolds) {
  const fs::path folder = short_data();
  const ProgramResult result = run_kvevict(on(folder, {"--strategy", "sink_recent", "--sink_tokens", "4",
                                                       "--kv_memory", "1600KiB", "--num_examples", "1"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("sink_recent:4:508"), std::string::npos) << result.err;
  const Json run = read_json(folder / "out.json").at("runs").at(0);
  EXPECT_EQ(run.at("run").at("name"), "sink_recent:4:508");
  EXPECT_LE(run.at("datasets")[0].at("examples")[0].at("kv_bytes_after_eviction").get<std::int64_t>(),
            1600 << 10);
}

/// The one sentence of a refusal: what it must name, and the exit code.
void expect_refused(const std::vector<std::string>& arguments, int exit_code,
                    const std::vector<std::string>& named, const ProgramOptions& options = {}) {
  const ProgramResult result = run_kvevict(arguments, options);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  for (const std::string& part : named)
    EXPECT_NE(result.err.find(part), std::string::npos) << part << ": " << result.err;
}

TEST(LongBenchCommand, BadDataIsNamedByFileLineAndColumn) {
  const fs::path folder = short_data();
  write(folder / "qasper.jsonl", std::string(kGoodLine) + "\n{\"input\": \"x\", oops}\n");
  expect_refused(on(folder, {}), 1, {"qasper.jsonl, line 2, column"});
  write(folder / "qasper.jsonl", R"({"input": "x", "context": "y"})"
                                 "\n");
  expect_refused(on(folder, {}), 1, {"qasper.jsonl, line 1", "answers"});
  write(folder / "qasper.jsonl", R"({"input": "x", "context": "y", "answers": "z"})"
                                 "\n");
  expect_refused(on(folder, {}), 1, {"qasper.jsonl, line 1", "answers", "list"});
  write(folder / "qasper.jsonl", "\n");
  expect_refused(on(folder, {}), 1, {"qasper.jsonl", "no example"});
}

TEST(LongBenchCommand, AMissingDataSetIsSaidWithThePlace) {
  const fs::path folder = short_data();
  expect_refused({"longbench", "--data_dir", folder, "--dataset", "musique", "--output", folder / "o.json"},
                 1, {"musique", (folder / "musique.jsonl").string()});
  expect_refused({"longbench", "--data_dir", folder, "--dataset", "musiqe", "--output", folder / "o.json"}, 2,
                 {"musiqe", "musique"});
}

TEST(LongBenchCommand, BadModelsAreRefusedBeforeAnythingElse) {
  const fs::path folder = short_data();
  write(folder / "text.gguf", "this is no model");
  std::ifstream whole(shallow_model_path(), std::ios::binary);
  std::string start(2'000'000, '\0');
  whole.read(start.data(), static_cast<std::streamsize>(start.size()));
  write(folder / "short.gguf", start);
  expect_refused(on(folder, {"--model", "/no/such/model.gguf"}), 1, {"/no/such/model.gguf"});
  expect_refused(on(folder, {"--model", folder / "text.gguf"}), 1, {"text.gguf", "not a GGUF file"});
  expect_refused(on(folder, {"--model", folder / "short.gguf"}), 1, {"short.gguf"});
  expect_refused(on(folder, {"--model", recurrent_model_path()}), 1, {"recurrent"});
}

TEST(LongBenchCommand, ImpossibleValuesAreRefusedByName) {
  const fs::path folder = short_data();
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--recent_tokens", "0"},
                                              {"--num_examples", "0"},
                                              {"--max_new_tokens", "-1"},
                                              {"--batch", "0"},
                                              {"--threads", "-2"},
                                              {"--kv_type", "f8"},
                                              {"--kv_memory", "lots"},
                                              {"--kv_memory", "1KiB"},
                                              {"--gpu_layers", "many"},
                                              {"--temperature", "-1"},
                                              {"--flash_attention", "maybe"},
                                              {"--nonsense"}}) {
    expect_refused(on(folder, bad), 2, {bad.front().substr(2)});
  }
  expect_refused(on(folder, {"--devices", "TPU9"}), 2, {"TPU9", "CPU"});
  EXPECT_FALSE(fs::exists(folder / "out.json"));
}

TEST(LongBenchCommand, NothingForeignIsOverwritten) {
  const fs::path folder = short_data();
  write(folder / "out.json", "my diary");
  expect_refused(on(folder, {}), 2, {"out.json"});
  std::string text;
  std::getline(std::ifstream(folder / "out.json"), text);
  EXPECT_EQ(text, "my diary");
  expect_refused(
      {"longbench", "--data_dir", folder, "--dataset", "qasper", "--output", "/proc/no/where/x.json"}, 1,
      {"/proc/no"});
}

}  // namespace
}  // namespace kvevict::test
