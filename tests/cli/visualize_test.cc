// kvevict visualize, report and compare --plot on the real program. They need no model.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "kvevict/results.h"
#include "plot/colours.h"
#include "support/example_results.h"
#include "support/program.h"
#include "support/svg_picture.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;
using test::make_work_folder;
using test::ProgramResult;
using test::run_kvevict;

std::string content_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::size_t n_boxes(const std::string& svg, Colour colour) {
  std::size_t n = 0;
  for (const SvgBox& box : svg_boxes(svg)) n += box.colour == colour ? 1 : 0;
  return n;
}

TEST(Visualize, PrintsAPreviewOfTheDefaults) {
  const ProgramResult result = run_kvevict({"visualize"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("sink_recent_uniform:256:512:512\n1280 of 4096 tokens kept in each of 30 layers"),
            std::string::npos)
      << result.out;
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);  // no colours into a file
}

TEST(Visualize, DrawsThePlanInBothSpellings) {
  const fs::path folder = make_work_folder();
  const std::string file = folder / "plan.svg";
  const ProgramResult result =
      run_kvevict({"visualize", "--total-len", "1000", "--strategy", "sink_recent", "--sink_tokens", "100",
                   "--recent-tokens", "200", "--n_layers", "4", "--save", file});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string svg = content_of(file);
  EXPECT_EQ(n_boxes(svg, kKeptColour), 2U + 1U);  // two ranges, and the legend's sample
  EXPECT_EQ(svg_dashed_lines(svg).size(), 2U);
}

TEST(Visualize, DrawsWhatReallyHappened) {
  const fs::path folder = make_work_folder();
  Results results = example_results({"full", "sink_recent:100:200"}, {1, 0});
  results.runs[1].datasets[0].examples[1].kept_ranges = {
      KeepSet::from_ranges({{0, 10}, {500, 510}, {900, 1000}})};
  write_results(results, folder / "r.json");
  const std::string file = folder / "r.json";
  const std::string svg = folder / "b.svg";
  const ProgramResult result = run_kvevict(
      {"visualize", "--from", file, "--run", "sink_recent:100:200", "--example", "b", "--save", svg});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(n_boxes(content_of(svg), kKeptColour), 3U + 1U);
  const ProgramResult unknown =
      run_kvevict({"visualize", "--from", file, "--run", "sink_recent:100:200", "--example", "z"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("--example is \"z\""), std::string::npos) << unknown.err;
  EXPECT_NE(unknown.err.find("a, b"), std::string::npos) << unknown.err;
  EXPECT_EQ(run_kvevict({"visualize", "--from", file}).exit_code, 2);  // which run is not said
}

TEST(Visualize, DrawsMasksAndStreams) {
  const fs::path folder = make_work_folder();
  const std::string mask = folder / "mask.png";
  const std::string stream = folder / "stream.gif";
  EXPECT_EQ(run_kvevict({"visualize", "--mode", "mask", "--strategy", "sink_recent:4:100", "--total_len",
                         "1000", "--chunk", "64", "--save", mask})
                .exit_code,
            0);
  EXPECT_EQ(run_kvevict({"visualize", "--total_len", "3000", "--frames", "6", "--animate", stream}).exit_code,
            0);
  EXPECT_EQ(content_of(stream).substr(0, 6), "GIF89a");
  EXPECT_EQ(content_of(mask).substr(1, 3), "PNG");
}

TEST(Visualize, ALadderGoesDownTheLayers) {
  const ProgramResult result = run_kvevict(
      {"visualize", "--strategy", "ladder:0:20:24:span=1", "--n_layers", "4", "--total_len", "60"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("a layer, on average over 4"), std::string::npos) << result.out;
  std::set<std::string> rows;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    const bool is_legend = line.find("kept") != std::string::npos;
    if (line.find("░") != std::string::npos && !is_legend) rows.insert(line.substr(9));
  }
  EXPECT_EQ(rows.size(), 4U) << result.out;
  const fs::path folder = make_work_folder();
  EXPECT_EQ(run_kvevict({"visualize", "--mode", "mask", "--strategy", "ladder", "--layer", "1", "--save",
                         folder / "mask.svg"})
                .exit_code,
            0);
  EXPECT_NE(content_of(folder / "mask.svg").find("layer 1 of 30"), std::string::npos);
}

TEST(Visualize, RefusesWhatItCannotDraw) {
  EXPECT_EQ(run_kvevict({"visualize", "--strategy", "tova"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--mode", "mask", "--layer", "30", "--save", "x.svg"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--total_len", "0"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--n_layers", "0"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--save", "x.jpg"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--save", "x.gif"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--mode", "mask"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--run", "full"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"visualize", "--from", "/nowhere.json"}).exit_code, 1);
  const ProgramResult missing =
      run_kvevict({"visualize", "--save", make_work_folder() + "/x.png"}, {.environment = {"PATH=/nowhere"}});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.err.find("apt-get install gnuplot-nox"), std::string::npos) << missing.err;
}

TEST(CompareAndReport, DrawTheRunsOfAFile) {
  const fs::path folder = make_work_folder();
  write_results(example_results({"full", "sink_recent:100:200"}, {1, 0.5, 0}), folder / "r.json");
  const ProgramResult compared = run_kvevict({"compare", "r.json", "--plot"}, {.folder = folder.string()});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_EQ(content_of(folder / "comparison.png").substr(1, 3), "PNG");
  const ProgramResult report =
      run_kvevict({"report", "r.json", "-o", "page.html", "--title", "<b>"}, {.folder = folder.string()});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_NE(content_of(folder / "page.html").find("<title>&lt;b&gt;</title>"), std::string::npos);
  write_results({}, folder / "empty.json");
  EXPECT_EQ(run_kvevict({"report", "empty.json"}, {.folder = folder.string()}).exit_code, 2);
}

TEST(Tune, RefusesGoalsThatCannotBe) {
  EXPECT_EQ(run_kvevict({"tune"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"tune", "--min_score", "101"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"tune", "--kv_memory", "many"}).exit_code, 2);
}

}  // namespace
}  // namespace kvevict
