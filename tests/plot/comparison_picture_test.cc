#include "plot/comparison_picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "kvevict/error.h"
#include "plot/needle_picture.h"
#include "support/example_results.h"
#include "support/svg_picture.h"

namespace kvevict::plot {
namespace {

using eval::example_result;
using eval::example_results;

std::vector<eval::NamedRun> named(const eval::Results& results) {
  std::vector<eval::NamedRun> runs;
  for (const eval::RunResult& run : results.runs) runs.push_back({run.info.name, &run, &results});
  return runs;
}

std::string svg_of(const eval::Results& results) {
  PictureSize size;
  const GnuplotScript script = comparison_script(plotted_runs(named(results)), size);
  return draw_with_gnuplot(script, PictureFormat::kSvg, size);
}

TEST(ComparisonPicture, DrawsAScoreBarForEveryRunInItsColour) {
  eval::Results results = example_results({"full", "sink_recent:4:100"}, {1, 0.5, 0});
  for (eval::ExampleResult& e : results.runs[1].datasets[0].examples) e.score = 0.25;
  const std::string svg = svg_of(results);
  double full = 0;
  double evicted = 0;
  for (const SvgBox& box : svg_boxes(svg)) {
    if (box.bottom - box.top < 10 || box.right - box.left < 20) continue;  // the legend's squares are small
    if (box.colour == strategy_colour("full")) full = box.right - box.left;
    if (box.colour == strategy_colour("sink_recent")) evicted = box.right - box.left;
  }
  EXPECT_GT(evicted, 50);
  EXPECT_NEAR(full / evicted, 2.0, 0.01);  // 50 and 25 points
}

/// The first number of a data block.
double first_number(const std::string& script, const std::string& block) {
  const std::size_t begin = script.find("$" + block + " << ");
  EXPECT_NE(begin, std::string::npos) << block;
  return std::stod(script.substr(script.find('\n', begin) + 1));
}

TEST(ComparisonPicture, PutsPointsOfOnePlaceSideBySide) {
  const eval::Results results = example_results({"full", "sink_recent:4:100", "streaming_llm:4:100"}, {1, 0});
  PictureSize size;
  const std::string script = comparison_script(plotted_runs(named(results)), size).text();
  for (const std::string block : {"point", "speed"}) {
    const double first = first_number(script, block + "0");
    const double second = first_number(script, block + "1");
    const double third = first_number(script, block + "2");
    EXPECT_LT(first, second);
    EXPECT_NEAR(third - second, second - first, 1e-9);
    EXPECT_NEAR(second, block == "point" ? 900.0 / (1 << 20) : 1000, 1e-6);  // the true place
  }
}

TEST(ComparisonPicture, StandsWithOneExampleAndWithoutTimes) {
  eval::Results results = example_results({"full"}, {1});
  results.runs[0].datasets[0].examples[0].n_sharing = 4;
  EXPECT_EQ(comparison_panels(plotted_runs(named(results))).size(), 2U);  // no speeds that say anything
  EXPECT_FALSE(svg_boxes(svg_of(results)).empty());
}

TEST(ComparisonPicture, RefusesNothingToDraw) {
  eval::Results results = example_results({"full"}, {});
  EXPECT_THROW(static_cast<void>(plotted_runs(named(results))), Error);
  EXPECT_THROW(static_cast<void>(plotted_runs({})), Error);
  const eval::Results one = example_results({"full"}, {1});
  EXPECT_THROW(save_comparison_picture(named(one), "x.gif"), Error);
}

TEST(ComparisonPicture, SurvivesHostileNames) {
  const std::string flag = testing::TempDir() + "kvevict-plot-pwned2";
  std::filesystem::remove(flag);
  const std::string hostile = "'; system 'touch " + flag + "' # `touch " + flag + "` %s <b>";
  eval::Results results = example_results({hostile, "full"}, {1, 0});
  for (eval::RunResult& run : results.runs) run.datasets[0].name = hostile;
  const std::string svg = svg_of(results);
  EXPECT_FALSE(std::filesystem::exists(flag));
  EXPECT_NE(svg.find("'; system 'touch"), std::string::npos);
}

TEST(ComparisonPicture, DrawsAllDataSetsAndManyRuns) {
  eval::Results results =
      example_results({"full", "a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1"}, {1, 0.5, 0});
  for (eval::RunResult& run : results.runs) {
    const eval::DatasetResult first = run.datasets[0];
    run.datasets.clear();
    for (int i = 0; i < 21; ++i) {
      run.datasets.push_back(first);
      run.datasets.back().name = "data_set_" + std::to_string(i);
    }
  }
  const std::string svg = svg_of(results);
  std::size_t n_names = 0;
  for (const std::string& text : svg_texts(svg)) n_names += text.rfind("data_set_", 0) == 0 ? 1 : 0;
  EXPECT_EQ(n_names, 21U);
}

TEST(OverallScore, WeighsDataSetsTheSame) {
  eval::Results results = example_results({"full"}, {1, 1, 1, 1});
  results.runs[0].datasets.push_back({.name = "other", .examples = {example_result("x", 0)}});
  EXPECT_NEAR(overall_score(results.runs[0]).score, 50, 1e-9);
}

TEST(ParetoFront, HoldsWhatNothingBeats) {
  const std::vector<std::pair<double, double>> points = {{10, 50}, {5, 40},  {7, 30},
                                                         {10, 45}, {20, 50}, {5, 20}};
  const std::vector<std::size_t> expected = {1, 0};
  EXPECT_EQ(pareto_front(points), expected);
  EXPECT_TRUE(pareto_front({}).empty());
}

TEST(NeedlePicture, DrawsACellForEveryLengthAndDepth) {
  NeedlePicture picture{.lengths = {512, 1024, 2048}, .depths = {0, 50, 100}, .panels = {}};
  picture.panels.push_back({"full", {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}}});
  picture.panels.push_back({"sink_recent:64:256", {{1, 0, 1}, {1, 0, 1}, {0.5, -1, 1}}});
  PictureSize size;
  const GnuplotScript script = needle_script(picture, size);
  const std::string svg = draw_with_gnuplot(script, PictureFormat::kSvg, size);
  std::size_t n_found = 0;
  std::size_t n_lost = 0;
  for (const SvgBox& box : svg_boxes(svg)) {
    n_found += box.colour == kKeptColour ? 1 : 0;
    n_lost += box.colour == kEvictedColour ? 1 : 0;
  }
  EXPECT_EQ(n_found, 9U + 5U);
  EXPECT_EQ(n_lost, 2U);
  PictureSize none;
  EXPECT_THROW(static_cast<void>(needle_script({}, none)), Error);
}

}  // namespace
}  // namespace kvevict::plot
