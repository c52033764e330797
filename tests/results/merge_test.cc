#include "results/merge.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "support/example_results.h"

namespace kvevict::eval {
namespace {

/// The examples of `whole` dealt out to `n` files.
std::vector<Results> shards_of(const Results& whole, std::size_t n) {
  std::vector<Results> shards(n, whole);
  for (std::size_t shard = 0; shard < n; ++shard) {
    for (RunResult& run : shards[shard].runs) {
      run.info.configuration["shard"] = std::to_string(shard + 1) + "/" + std::to_string(n);
      run.info.seconds_total = 1.5 / static_cast<double>(n);
      auto& examples = run.datasets[0].examples;
      std::vector<ExampleResult> kept;
      for (std::size_t i = 0; i < examples.size(); ++i) {
        if (i % n == shard) kept.push_back(examples[i]);
      }
      examples = std::move(kept);
    }
  }
  return shards;
}

void expect_refused(const std::vector<Results>& files, const std::string& words) {
  const std::vector<std::string> names = {"1.json", "2.json", "3.json"};
  try {
    static_cast<void>(merge_results(
        {names.begin(), names.begin() + static_cast<std::ptrdiff_t>(files.size())}, files, false));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(Merge, ShardsInAnyOrderGiveTheWhole) {
  const Results whole = example_results({"full", "sink_recent"}, {0.1, 0.2, 0.3, 0.4, 0.5});
  auto shards = shards_of(whole, 3);
  EXPECT_EQ(to_json(merge_results({"1", "2", "3"}, shards, false)), to_json(whole));
  std::swap(shards[0], shards[2]);
  EXPECT_EQ(to_json(merge_results({"3", "2", "1"}, shards, false)), to_json(whole));
}

TEST(Merge, NamesDuplicatesAndGaps) {
  const Results whole = example_results({"full"}, {0.1, 0.2, 0.3});
  auto shards = shards_of(whole, 3);
  expect_refused({shards[0], shards[1], shards[1]}, "qasper b (2.json, 3.json)");
  expect_refused({shards[0], shards[2]}, "in none of the files: full qasper b");
  const Results partial = merge_results({"1", "3"}, {shards[0], shards[2]}, true);
  EXPECT_EQ(partial.runs[0].info.status, "interrupted");
  EXPECT_EQ(partial.runs[0].datasets[0].examples.size(), 2U);
}

TEST(Merge, RefusesOtherConfigurations) {
  auto shards = shards_of(example_results({"full"}, {0.1, 0.2}), 2);
  shards[1].runs[0].info.configuration["chat"] = "off";
  expect_refused(shards, "configuration.chat is auto there and off here");
}

}  // namespace
}  // namespace kvevict::eval
