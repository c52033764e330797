#include "experiments/tuning.h"

#include <gtest/gtest.h>

#include "kvevict/policy.h"
#include "support/example_results.h"

namespace kvevict::eval {
namespace {

/// A run for each list of scores, over the same examples.
std::vector<RunResult> runs_of(const std::vector<std::vector<double>>& scores,
                               const std::vector<std::int64_t>& bytes) {
  std::vector<RunResult> runs;
  for (std::size_t r = 0; r < scores.size(); ++r) {
    runs.push_back(example_results({"run" + std::to_string(r)}, scores[r]).runs[0]);
    for (ExampleResult& e : runs.back().datasets[0].examples) e.kv_bytes_after_eviction = bytes[r];
  }
  return runs;
}

TEST(TuningGrid, NeverHoldsMoreThanTheLimit) {
  for (const std::int64_t limit : {16, 100, 320, 1024, 5000}) {
    const std::vector<StrategySpec> grid = tuning_grid(limit);
    EXPECT_FALSE(grid.empty());
    for (const StrategySpec& spec : grid) {
      PolicyState state;
      const KeepSet kept = make_policy(spec)->plan(100000, state).layer(0);
      EXPECT_LE(kept.count(), limit) << to_string(spec);
      EXPECT_GT(kept.count(), limit / 2) << to_string(spec);
    }
  }
  EXPECT_TRUE(tuning_grid(15).empty());
}

TEST(SplitExamples, HoldsOneOfEachThreeOut) {
  std::vector<LongBenchExample> examples(7);
  for (std::size_t i = 0; i < examples.size(); ++i) examples[i].id = std::to_string(i);
  std::size_t n_before = 0;
  const SplitExamples split = split_examples(examples, n_before);
  ASSERT_EQ(split.held_out.size(), 3U);
  EXPECT_EQ(split.held_out[0].id, "2");
  EXPECT_EQ(split.held_out[1].id, "4");
  EXPECT_EQ(split.held_out[2].id, "6");
  EXPECT_EQ(split.choosing.size(), 4U);
  examples.resize(5);
  const SplitExamples next = split_examples(examples, n_before);  // from the eighth in all
  ASSERT_EQ(next.held_out.size(), 1U);
  EXPECT_EQ(next.held_out[0].id, "4");
}

TEST(HopelessRuns, AreThoseThatAreSurelyWorse) {
  const std::vector<double> good(12, 0.9);
  const std::vector<double> bad(12, 0.1);
  std::vector<double> uneven(12, 0.9);
  uneven[3] = 0.2;
  EXPECT_EQ(hopeless_runs(runs_of({good, bad, uneven}, {3, 1, 1}), {}),
            (std::vector<bool>{false, true, false}));
  EXPECT_EQ(hopeless_runs(runs_of({good, bad}, {3, 1}), {.least_score = 5}),
            (std::vector<bool>{false, false}));
  EXPECT_EQ(hopeless_runs(runs_of({good, bad}, {3, 1}), {.least_score = 50}),
            (std::vector<bool>{false, true}));
}

TEST(HopelessRuns, AreNotToldByDataSetsOfOneExample) {
  std::vector<RunResult> runs = runs_of({{1, 1, 1, 1, 1, 0, 0, 0}, {0, 0, 0, 0, 0, 1, 1, 1}}, {1, 1});
  for (RunResult& run : runs) {
    const std::vector<ExampleResult> examples = std::move(run.datasets[0].examples);
    run.datasets.clear();
    for (const ExampleResult& e : examples) run.datasets.push_back({.name = e.id, .examples = {e}});
  }
  EXPECT_EQ(hopeless_runs(runs, {}), (std::vector<bool>{false, false}));
}

TEST(HopelessRuns, NeedEnoughExamples) {
  EXPECT_EQ(hopeless_runs(runs_of({{1, 1, 1}, {0, 0, 0}}, {1, 1}), {}), (std::vector<bool>{false, false}));
}

TEST(WinningRun, HasTheBestScoreOrTheLeastMemoryThatIsGoodEnough) {
  const std::vector<RunResult> runs =
      runs_of({{0.9, 0.9}, {0.9, 0.9}, {0.6, 0.6}, {0.1, 0.1}}, {40, 30, 20, 10});
  EXPECT_EQ(winning_run(runs, {}), 1U);
  EXPECT_EQ(winning_run(runs, {.least_score = 50}), 2U);
  EXPECT_EQ(winning_run(runs, {.least_score = 95}), std::nullopt);
  EXPECT_EQ(winning_run(runs_of({{0.6, 0.6}, {0.9, 0.9}}, {20, 20}), {.least_score = 50}), 1U);
  EXPECT_EQ(winning_run({}, {}), std::nullopt);
}

}  // namespace
}  // namespace kvevict::eval
