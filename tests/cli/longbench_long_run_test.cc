// Long runs of kvevict longbench: cut off and continued, in shards, merged, compared.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/program.h"

namespace kvevict::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kExamples = 6;

Json row(const std::string& id, int document) {
  return {
      {"_id", id},
      {"input", "What is in box " + id + "?"},
      {"context", "Box one holds a red ball. Box two holds " + std::to_string(document) + " green apples."},
      {"answers", {"a ball", "apples"}},
      {"length", 12},
      {"dataset", "qasper"},
      {"language", "en"},
      {"all_classes", nullptr}};
}

/// Two data sets of six examples, two on each document.
fs::path data() {
  fs::path folder = make_work_folder();
  for (const char* name : {"qasper", "hotpotqa"}) {
    std::ofstream file(folder / (std::string(name) + ".jsonl"));
    for (int i = 0; i < kExamples; ++i)
      file << row(std::string(name) + std::to_string(i), i / 2).dump() << "\n";
  }
  return folder;
}

std::vector<std::string> on(const fs::path& folder, const std::string& output,
                            const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {
      "longbench", "--data_dir",      folder,
      "--dataset", "qasper,hotpotqa", "--max_new_tokens",
      "4",         "--strategies",    "full,sink_recent:4:16,streaming_llm:4:16",
      "--output",  folder / output};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// What must not depend on how a run was cut up: everything but times, places and what happened to be shared.
Json essence(const fs::path& file) {
  Json json = Json::parse(std::ifstream(file));
  for (Json& run : json.at("runs")) {
    for (const char* key : {"machine", "started_utc", "seconds_total"}) run.at("run").erase(key);
    run.at("run").at("configuration").erase("shard");
    for (Json& dataset : run.at("datasets")) {
      for (Json& example : dataset.at("examples")) {
        for (const char* key : {"seconds", "prefill_tokens_per_second", "decode_tokens_per_second",
                                "kv_bytes_peak", "reused_tokens", "sharing_strategies"}) {
          example.erase(key);
        }
      }
    }
  }
  return json;
}

ProgramResult run_well(const std::vector<std::string>& arguments) {
  ProgramResult result = run_kvevict(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result;
}

TEST(LongBenchLongRun, KilledAtAnyPointTheSameCommandContinues) {
  const fs::path folder = data();
  run_well(on(folder, "whole.json"));
  const Json whole = essence(folder / "whole.json");
  for (const int n_before_kill : {1, 8, 20}) {
    Program program(on(folder, "cut.json"));
    ASSERT_TRUE(program.wait_for_stderr(std::to_string(n_before_kill) + "/36"));
    program.send_signal(SIGKILL);
    EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);
    EXPECT_FALSE(fs::exists(folder / "cut.json"));
    EXPECT_TRUE(fs::exists(folder / "cut.json.journal"));
  }
  const ProgramResult last = run_well(on(folder, "cut.json"));
  EXPECT_NE(last.err.find("continuing"), std::string::npos) << last.err;
  EXPECT_EQ(last.err.find("[20/36"), std::string::npos) << "what was done is not done again: " << last.err;
  EXPECT_EQ(essence(folder / "cut.json"), whole);
  EXPECT_FALSE(fs::exists(folder / "cut.json.journal"));
  const ProgramResult again = run_well(on(folder, "cut.json"));
  EXPECT_NE(again.out.find("complete already"), std::string::npos) << again.out;
}

TEST(LongBenchLongRun, AnOutputOfAnotherConfigurationIsRefusedAndKept) {
  const fs::path folder = data();
  run_well(on(folder, "out.json", {"--num_examples", "1"}));
  const Json before = essence(folder / "out.json");
  for (const std::vector<std::string>& other :
       {std::vector<std::string>{"--num_examples", "1", "--chat", "off"},
        {"--num_examples", "2"},
        {"--num_examples", "1", "--max_length", "30"}}) {
    const ProgramResult result = run_kvevict(on(folder, "out.json", other));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find("another configuration"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("there and"), std::string::npos) << result.err;
  }
  EXPECT_EQ(essence(folder / "out.json"), before);
  run_well(on(folder, "out.json", {"--num_examples", "1", "--chat", "off", "--restart"}));
  EXPECT_NE(essence(folder / "out.json"), before);
}

TEST(LongBenchLongRun, FourShardsMergedAreTheUnshardedRun) {
  const fs::path folder = data();
  run_well(on(folder, "whole.json"));
  std::vector<std::string> merge = {"merge", "--output", folder / "merged.json"};
  for (const std::string number : {"3", "1", "4", "2"}) {
    run_well(on(folder, number + ".json", {"--shard", number + "/4"}));
    merge.push_back(folder / (number + ".json"));
  }
  run_well(merge);
  EXPECT_EQ(essence(folder / "merged.json"), essence(folder / "whole.json"));
  merge.pop_back();
  const ProgramResult gap = run_kvevict(merge);
  EXPECT_EQ(gap.exit_code, 2);
  EXPECT_NE(gap.err.find("qasper2"), std::string::npos) << gap.err;
  merge.push_back(folder / "1.json");
  const ProgramResult twice = run_kvevict(merge);
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_NE(twice.err.find("in more than one file"), std::string::npos) << twice.err;
}

TEST(LongBenchLongRun, IdsChooseAndUnknownOnesAreNamed) {
  const fs::path folder = data();
  run_well(on(folder, "ids.json", {"--ids", "qasper5,hotpotqa0"}));
  const Json runs = essence(folder / "ids.json").at("runs");
  EXPECT_EQ(runs[0].at("datasets")[0].at("examples").at(0).at("id"), "qasper5");
  EXPECT_EQ(runs[2].at("datasets")[1].at("examples").at(0).at("id"), "hotpotqa0");
  const ProgramResult unknown = run_kvevict(on(folder, "no.json", {"--ids", "qasper5,nobody"}));
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("nobody"), std::string::npos) << unknown.err;
}

TEST(LongBenchLongRun, StrategiesFromAFileAndBoundedOnesRunApart) {
  const fs::path folder = data();
  std::ofstream(folder / "strategies.yaml")
      << "strategies:\n  - full\n  - {strategy: sink_recent, sink_tokens: 4, recent_tokens: 16}\n"
         "  - sink_recent:4:16:prefill=bounded\n";
  run_well({"longbench", "--data_dir", folder, "--dataset", "qasper", "--num_examples", "2",
            "--max_new_tokens", "4", "--strategies", folder / "strategies.yaml", "--output",
            folder / "out.json"});
  const Json file = Json::parse(std::ifstream(folder / "out.json"));
  EXPECT_EQ(file.at("runs")[1].at("run").at("name"), "sink_recent:4:16:prefill=full");
  EXPECT_EQ(file.at("runs")[2].at("run").at("configuration").at("prefill"), "bounded");
  const auto example = [&](std::size_t run) {
    return file.at("runs")[run].at("datasets")[0].at("examples").at(0);
  };
  EXPECT_EQ(example(0).at("sharing_strategies"), 2);
  EXPECT_EQ(example(1).at("seconds").at("shared"), true);
  EXPECT_EQ(example(2).at("seconds").at("shared"), false);

  const ProgramResult compared = run_well({"compare", folder / "out.json", "--format", "csv"});
  EXPECT_NE(compared.out.find("qasper,sink_recent:4:16:prefill=bounded,2,"), std::string::npos)
      << compared.out;
  std::ofstream(folder / "bad.yaml") << "- full\n- {strategy: sink_recent, sink: 4}\n";
  const ProgramResult bad = run_kvevict({"longbench", "--strategies", folder / "bad.yaml"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.err.find("bad.yaml, line 2"), std::string::npos) << bad.err;
}

}  // namespace
}  // namespace kvevict::test
