#include "results/results.h"

#include <gtest/gtest.h>

#include <fstream>

#include "kvevict/error.h"
#include "results/results_identity.h"
#include "support/example_results.h"
#include "support/work_folder.h"

namespace kvevict::eval {
namespace {

namespace fs = std::filesystem;

fs::path work_file(const std::string& name) {
  return test::work_folder() / name;
}

void expect_refused(const std::string& content, const std::string& words) {
  const fs::path path = work_file("broken.json");
  std::ofstream(path) << content;
  try {
    static_cast<void>(read_results(path));
    FAIL() << "no error for " << content;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("broken.json"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(Results, AreReadBackAsTheyWereWritten) {
  Results results = example_results({"full", "sink_recent:4:316"}, {0.25, 1.0 / 3, 1.0});
  ExampleResult& example = results.runs[1].datasets[0].examples[1];
  example.kept_ranges = {KeepSet::all(3), KeepSet::from_ranges({{1, 2}, {5, 9}})};
  example.all_classes = {"one", "two"};
  example.n_sharing = 4;
  example.n_reused_tokens = 512;
  const fs::path path = work_file("round.json");
  write_results(results, path);
  const Results read = read_results(path);
  EXPECT_EQ(to_json(read), to_json(results));
  EXPECT_EQ(read.runs[1].datasets[0].examples[1].kept_ranges, example.kept_ranges);
  EXPECT_TRUE(read.runs[1].datasets[0].examples[1].has_shared_timings());
  EXPECT_FALSE(read.runs[0].datasets[0].examples[1].has_shared_timings());
  EXPECT_FALSE(first_difference(read, results).has_value());
}

TEST(Results, AFileThatDoesNotSayWhenTheQuestionCameIsOfTheOfficialOrder) {
  const Results older = example_results({"full"}, {0.5});
  Results newer = older;
  newer.runs[0].info.configuration["question"] = "before";
  EXPECT_FALSE(first_difference(older, newer).has_value());
  newer.runs[0].info.configuration["question"] = "after";
  EXPECT_EQ(first_difference(older, newer), "configuration.question is before there and after here");
}

TEST(Results, LongBenchEGetsScoresByLength) {
  Results results = example_results({"full"}, {0.5});
  results.runs[0].datasets[0].name = "qasper_e";
  EXPECT_NE(to_json(results).find("\"0-4k\": 50.0"), std::string::npos);
  EXPECT_NE(to_json(results).find("\"8k+\": null"), std::string::npos);
}

TEST(Results, RefusesWhatIsNoResultsFile) {
  expect_refused("{", "not valid JSON at byte");
  expect_refused("[]", "array found, an object");
  expect_refused("{}", "\"schema\" is missing");
  expect_refused(R"({"schema": "kvevict-results/9"})", "kvevict-results/9");
  expect_refused(R"({"schema": "kvevict-results/1", "runs": [{"run": 3}]})", "runs[0].run: number found");
  std::string text = to_json(example_results({"full"}, {0.5}));
  text.replace(text.find("\"id\": \"a\""), 9, "\"id\": 3");
  expect_refused(text, "runs[0].datasets[0].examples[0].id: number found, a string is needed");
  const auto with_score = [](const std::string& score) {
    std::string file = to_json(example_results({"full"}, {0.25}));
    return file.replace(file.rfind("0.25"), 4, score);
  };
  expect_refused(with_score("NaN"), "NaN and Infinity");
  expect_refused(with_score("1e999"), "too large");
  expect_refused(with_score("1e300"), "a score from 0 to 1 is needed");
  expect_refused(with_score("null"), "null found, a number is needed");
  EXPECT_THROW(static_cast<void>(read_results(work_file("missing.json"))), Error);
}

TEST(ResultsIdentity, NamesTheFirstDifference) {
  const Results there = example_results({"full"}, {0.5});
  Results here = there;
  here.runs[0].info.configuration["data_dir"] = "elsewhere";
  here.runs[0].info.machine["cpu"] = "another";
  here.runs[0].info.seconds_total = 9;
  EXPECT_FALSE(first_difference(there, here).has_value());
  here.runs[0].info.configuration["chat"] = "off";
  EXPECT_EQ(first_difference(there, here), "configuration.chat is auto there and off here");
  EXPECT_FALSE(first_difference(there, here, {"configuration.chat"}).has_value());
  here = there;
  here.data[0].ids = {"z"};
  EXPECT_TRUE(first_difference(there, here)->starts_with("data.qasper.ids is"));
  here = example_results({"full", "streaming_llm"}, {0.5});
  EXPECT_EQ(first_difference(there, here), "run 2 is not given there and streaming_llm here");
}

}  // namespace
}  // namespace kvevict::eval
