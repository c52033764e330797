// kvevict stream and perplexity on real text, short forms; the long ones are scripts/long/.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/program.h"
#include "support/test_models.h"
#include "support/texts.h"

namespace kvevict::test {
namespace {

using Json = nlohmann::json;

std::vector<Json> json_lines(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

const std::vector<std::string> kModel = {"--model", shallow_model_path().string()};
const std::vector<std::string> kBudget = {"--strategy", "sink_recent:4:124", "--chunk", "128"};
const std::vector<std::string> kSmall = with(kBudget, kModel);

std::string text_file() {
  return long_text_path("developers-reference.txt").string();
}

TEST(StreamCommand, HoldsItsBoundAndItsMemory) {
  const ProgramResult result =
      run_kvevict(with({"stream", text_file(), "--json", "--total_tokens", "3000", "--report_every", "500",
                        "--model", default_model_path().string()},
                       kBudget));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 6U) << result.out;
  std::int64_t n_before = 0;
  for (const Json& line : lines) {
    EXPECT_GE(line.at("tokens_seen").get<std::int64_t>() / 500, n_before / 500 + 1);
    n_before = line.at("tokens_seen");
    EXPECT_LE(line.at("cells_used").get<std::int64_t>(), 128 + 128);
    EXPECT_EQ(line.at("cells_allocated"), 256);
    EXPECT_GT(line.at("perplexity").get<double>(), 2);
    EXPECT_LT(line.at("perplexity").get<double>(), 500);
    EXPECT_GT(line.at("tokens_per_second").get<double>(), 0);
  }
  EXPECT_EQ(n_before, 3000);
  const double resident = lines[1].at("resident_bytes");
  EXPECT_NEAR(lines.back().at("resident_bytes").get<double>() / resident, 1, 0.02);
}

TEST(StreamCommand, PassesTheTrainedContextByPackingAndReadsStandardInput) {
  ProgramOptions options;
  options.input = long_text(12000);  // some 2,700 tokens, five trained contexts
  const ProgramResult result =
      run_kvevict({"stream", "-", "--json", "--strategy", "sink_recent_uniform:4:60:64:block=16", "--chunk",
                   "64", "--model", short_context_model_path().string()},
                  options);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json last = json_lines(result.out).back();
  EXPECT_GT(last.at("tokens_seen").get<std::int64_t>(), 2000);
  EXPECT_GE(last.at("packs").get<std::int64_t>(), 3);
  EXPECT_LE(last.at("packs").get<std::int64_t>(), last.at("evictions").get<std::int64_t>() / 3);
  EXPECT_LE(last.at("tokens_held_peak").get<std::int64_t>(), 128 + 64);
}

/// What a stream ends with, without what depends on the machine.
Json ending(const std::string& out) {
  Json last = json_lines(out).back();
  for (const char* name : {"resident_bytes", "tokens_per_second", "cpu_seconds", "perplexity", "evictions",
                           "packs", "tokens_held_peak"})
    last.erase(name);
  return last;
}

TEST(StreamCommand, GoesOnFromItsCheckpointWhereItEnded) {
  const std::string checkpoint = make_work_folder() + "/stream.kvevict";
  const std::vector<std::string> words =
      with({"stream", text_file(), "--json", "--total_tokens", "1280", "--report_every", "128"}, kSmall);
  const ProgramResult whole = run_kvevict(words);
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const std::vector<std::string> saved =
      with(words, {"--checkpoint", checkpoint, "--checkpoint_every", "128"});
  std::vector<std::string> first_half = saved;
  *(std::find(first_half.begin(), first_half.end(), "1280")) = "640";
  ASSERT_EQ(run_kvevict(first_half).exit_code, 0);
  const ProgramResult second_half = run_kvevict(saved);
  ASSERT_EQ(second_half.exit_code, 0) << second_half.err;
  EXPECT_NE(second_half.err.find("going on after 640 tokens"), std::string::npos) << second_half.err;
  EXPECT_EQ(ending(second_half.out), ending(whole.out));
  const ProgramResult other = run_kvevict(with(
      {"stream", text_file(), "--strategy", "sink_recent:4:60", "--chunk", "128", "--checkpoint", checkpoint},
      kModel));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("is a checkpoint of"), std::string::npos) << other.err;
}

TEST(StreamCommand, ReportsWhatHasComeThroughAPipeAndStopsWhileItWaits) {
  const std::string folder = make_work_folder();
  const std::string fifo = folder + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int end = open(fifo.c_str(), O_RDWR | O_CLOEXEC);  // never closed before the program has ended
  const std::string text = long_text(8000);                // some 1,800 tokens
  ASSERT_EQ(write(end, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  const std::vector<std::string> words =
      with({"stream", "-", "--json", "--report_every", "500", "--checkpoint", folder + "/saved"}, kSmall);
  Program program(with({"-c", "exec \"$0\" \"$@\" < '" + fifo + "' 1>&2", KVEVICT_TEST_BINARY}, words), {},
                  "/bin/sh");
  EXPECT_TRUE(program.wait_for_stderr("\"tokens_seen\":1024"));
  program.send_signal(SIGINT);
  const ProgramResult result = program.wait();
  close(end);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_NE(result.err.find("the stream was stopped after"), std::string::npos) << result.err;
  EXPECT_TRUE(std::filesystem::exists(folder + "/saved"));
}

TEST(StreamCommand, RefusesInOneSentence) {
  const std::string folder = make_work_folder();
  std::ofstream(folder + "/latin1.txt", std::ios::binary) << "caf\xE9 au lait";
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    const char* sentence;
  };
  for (const Case& c : {Case{{folder + "/latin1.txt"}, 1, "is not UTF-8 at byte 3"},
                        Case{{folder + "/none.txt"}, 1, "cannot open the text"},
                        Case{{text_file(), "--strategy", "sink_recent_uniform:4:8:stride=2"}, 2, "stride"},
                        Case{{text_file(), "--prefill", "full"}, 2, "--prefill bounded is needed"},
                        Case{{text_file(), "--strategy", "sink_recent:4000:4000"}, 2, "do not fit"},
                        Case{{text_file(), "--report_every", "0"}, 2, "--report_every"},
                        Case{{text_file(), "--chunk", "0"}, 2, "chunk"},
                        Case{{text_file(), "--kv_memory", "1KiB"}, 2, "--kv_memory"}}) {
    const ProgramResult result = run_kvevict(with(with({"stream"}, kModel), c.arguments));
    EXPECT_EQ(result.exit_code, c.exit_code) << c.sentence;
    EXPECT_NE(result.err.find(c.sentence), std::string::npos) << result.err;
    EXPECT_TRUE(result.out.empty()) << result.out;
  }
  const ProgramResult recurrent =
      run_kvevict({"stream", text_file(), "--model", recurrent_model_path().string()});
  EXPECT_EQ(recurrent.exit_code, 1);
  EXPECT_NE(recurrent.err.find("recurrent"), std::string::npos) << recurrent.err;
}

TEST(PerplexityCommand, ComparesStrategiesInATableAndAFile) {
  const std::string output = make_work_folder() + "/perplexity.json";
  const ProgramResult result =
      run_kvevict({"perplexity", text_file(), "--strategies", "full,sink_recent:0:128,sink_recent:4:124",
                   "--window", "256", "--total_tokens", "1024", "--chunk", "128", "--positions", "packed",
                   "--output", output, "--model", short_context_model_path(default_model_path()).string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("stops at the trained context"), std::string::npos) << result.out;
  std::ifstream file(output);
  const Json runs = Json::parse(file).at("runs");
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].at("tokens"), 512);
  EXPECT_EQ(runs[0].at("reached_trained_context"), true);
  for (const int i : {1, 2}) {
    EXPECT_EQ(runs[i].at("tokens"), 1024);
    EXPECT_EQ(runs[i].at("positions"), "packed");
    EXPECT_EQ(runs[i].at("windows").size(), 4U);
    EXPECT_LE(runs[i].at("tokens_held_peak"), 256);
  }
  // While nothing was evicted all see the same tokens; then, without sinks, the text gets harder to foresee.
  EXPECT_NEAR(runs[1].at("windows")[0].at("perplexity").get<double>(),
              runs[2].at("windows")[0].at("perplexity").get<double>(), 30);
  EXPECT_GT(runs[1].at("windows")[3].at("perplexity").get<double>(),
            runs[2].at("windows")[3].at("perplexity").get<double>());
}

TEST(PerplexityCommand, WarnsWherePositionsPassTheTrainedContext) {
  const std::string folder = make_work_folder();
  const std::string file = folder + "/text.txt";
  std::ofstream(file) << long_text(4000);
  const auto measured = [&](const char* positions) {
    return run_kvevict({"perplexity", file, "--model", short_context_model_path().string(), "--strategies",
                        "sink_recent:4:60", "--chunk", "64", "--window", "64", "--total_tokens", "600",
                        "--positions", positions, "--output", folder + "/out.json"});
  };
  EXPECT_NE(measured("absolute").err.find("positions went to 599"), std::string::npos);
  const ProgramResult packed = measured("packed");
  EXPECT_EQ(packed.exit_code, 0) << packed.err;
  EXPECT_EQ(packed.err.find("positions went"), std::string::npos) << packed.err;
}

TEST(StreamCommand, EndsBeforePositionsPassTheTrainedContext) {
  const std::string file = make_work_folder() + "/text.txt";
  std::ofstream(file) << long_text(4000);
  const ProgramResult result =
      run_kvevict({"stream", file, "--model", short_context_model_path().string(), "--strategy",
                   "sink_recent:4:60", "--chunk", "64", "--positions", "absolute"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("trained on contexts of 512"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvevict::test
