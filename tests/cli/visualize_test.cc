// kvevict visualize, report, compare --plot and tune on the real program.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "kvevict/session_file.h"
#include "plot/colours.h"
#include "results/results.h"
#include "support/example_results.h"
#include "support/program.h"
#include "support/svg_picture.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;
using eval::example_results;
using test::make_work_folder;
using test::ProgramResult;
using test::run_kvevict;

std::string content_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::size_t n_boxes(const std::string& svg, plot::Colour colour) {
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
  EXPECT_EQ(n_boxes(svg, plot::kKeptColour), 2U + 1U);  // two ranges, and the legend's sample
  EXPECT_EQ(svg_dashed_lines(svg).size(), 2U);
}

TEST(Visualize, DrawsWhatReallyHappened) {
  const fs::path folder = make_work_folder();
  eval::Results results = example_results({"full", "sink_recent:100:200"}, {1, 0});
  results.runs[1].datasets[0].examples[1].kept_ranges = {
      KeepSet::from_ranges({{0, 10}, {500, 510}, {900, 1000}})};
  eval::write_results(results, folder / "r.json");
  const std::string file = folder / "r.json";
  const std::string svg = folder / "b.svg";
  const ProgramResult result = run_kvevict(
      {"visualize", "--from", file, "--run", "sink_recent:100:200", "--example", "b", "--save", svg});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(n_boxes(content_of(svg), plot::kKeptColour), 3U + 1U);
  const ProgramResult unknown =
      run_kvevict({"visualize", "--from", file, "--run", "sink_recent:100:200", "--example", "z"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("--example is \"z\""), std::string::npos) << unknown.err;
  EXPECT_NE(unknown.err.find("a, b"), std::string::npos) << unknown.err;
  EXPECT_EQ(run_kvevict({"visualize", "--from", file}).exit_code, 2);  // which run is not said
}

/// A chat of two turns whose cache is too small for them, saved.
std::string make_saved_chat(const fs::path& folder) {
  const std::string file = folder / "chat \"1\" %d.kvevict";
  const ProgramResult chat = run_kvevict(
      {"chat", "--model", test::shallow_model_path().string(), "--system", "Be brief.", "--max_new_tokens",
       "40", "--sink_tokens", "4", "--recent_tokens", "24", "--chunk", "16", "--save", file},
      {.input = "Tell me about the sea and its tides.\nAnd about the moon?\n/quit\n"});
  EXPECT_EQ(chat.exit_code, 0) << chat.err;
  return file;
}

TEST(Visualize, DrawsWhatASavedChatHolds) {
  const fs::path folder = make_work_folder();
  const std::string file = make_saved_chat(folder);
  const SavedSession saved = inspect_session(file);
  ASSERT_GT(saved.n_tokens_seen, saved.held.count());
  ASSERT_EQ(saved.held.layer(0).ranges().size(), 2U);
  const std::string picture = folder / "chat.svg";
  const ProgramResult result = run_kvevict({"visualize", "--from", file, "--save", picture});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find(std::to_string(saved.held.count()) + " of " +
                            std::to_string(saved.n_tokens_seen) + " tokens kept in every layer"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("%d.kvevict, sink_recent:4:24\n"), std::string::npos) << result.out;
  EXPECT_EQ(n_boxes(content_of(picture), plot::kKeptColour),
            2U + 1U);  // sink, recent window, the legend's sample
  EXPECT_EQ(svg_dashed_lines(content_of(picture)).size(), 2U);
  EXPECT_EQ(run_kvevict({"visualize", "--from", file}).exit_code, 0);
  EXPECT_EQ(run_kvevict({"visualize", "--from", file, "--run", "full"}).exit_code, 2);
}

TEST(Visualize, DrawsTheLayersOfASavedLadder) {
  const fs::path folder = make_work_folder();
  const std::string file = folder / "ladder.kvevict";
  const ProgramResult chat = run_kvevict(
      {"chat", "--model", test::default_model_path().string(), "--max_new_tokens", "40", "--strategy",
       "ladder:4:16:24", "--positions", "absolute", "--chunk", "16", "--save", file},
      {.input = "Tell me about the sea and its tides.\nAnd about the moon?\n/quit\n"});
  ASSERT_EQ(chat.exit_code, 0) << chat.err;
  ASSERT_EQ(inspect_session(file).held.n_layers(), 30U);
  const ProgramResult result = run_kvevict({"visualize", "--from", file, "--save", folder / "ladder.svg"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out.find("in every layer"), std::string::npos) << result.out;
  const std::string picture = content_of(folder / "ladder.svg");
  EXPECT_NE(picture.find(">25<"), std::string::npos);  // a layer's number on the axis
  EXPECT_EQ(picture.find(">all<"), std::string::npos);
}

TEST(Visualize, RefusesASessionThatWasCutShort) {
  const fs::path folder = make_work_folder();
  const std::string file = make_saved_chat(folder);
  fs::resize_file(file, fs::file_size(file) - 7);
  const ProgramResult result = run_kvevict({"visualize", "--from", file});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("it was cut short"), std::string::npos) << result.err;
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
  eval::write_results(example_results({"full", "sink_recent:100:200"}, {1, 0.5, 0}), folder / "r.json");
  const ProgramResult compared = run_kvevict({"compare", "r.json", "--plot"}, {.folder = folder.string()});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_EQ(content_of(folder / "comparison.png").substr(1, 3), "PNG");
  const ProgramResult report =
      run_kvevict({"report", "r.json", "-o", "page.html", "--title", "<b>"}, {.folder = folder.string()});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_NE(content_of(folder / "page.html").find("<title>&lt;b&gt;</title>"), std::string::npos);
  eval::write_results({}, folder / "empty.json");
  EXPECT_EQ(run_kvevict({"report", "empty.json"}, {.folder = folder.string()}).exit_code, 2);
}

TEST(CompareAndReport, JoinFilesOfOtherDataSets) {
  const fs::path folder = make_work_folder();
  for (const std::string name : {"qasper", "musique"}) {
    eval::Results results = example_results({"full", "sink_recent:100:200"}, {1, 0.5, 0});
    for (eval::RunResult& run : results.runs) run.datasets[0].name = name;
    results.data[0].dataset = name;
    eval::write_results(results, folder / (name + ".json"));
  }
  const ProgramResult compared =
      run_kvevict({"compare", "qasper.json", "musique.json", "--plot", "c.svg"}, {.folder = folder.string()});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_NE(compared.out.find("\nall "), std::string::npos) << compared.out;
  EXPECT_NE(content_of(folder / "c.svg").find("musique"), std::string::npos);
  const ProgramResult report =
      run_kvevict({"report", "qasper.json", "musique.json"}, {.folder = folder.string()});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_NE(content_of(folder / "report.html").find(">all<"), std::string::npos);
}

TEST(Tune, FindsAConfigurationThatItsOwnCommandRuns) {
  const fs::path folder = make_work_folder();
  const std::vector<std::string> shared = {"--model",          test::shallow_model_path().string(),
                                           "--dataset",        "multifieldqa_en",
                                           "--num_examples",   "3",
                                           "--max_length",     "300",
                                           "--max_new_tokens", "4"};
  std::vector<std::string> words = {"tune", "--kv_memory", "6MiB", "--output", "t.json"};
  words.insert(words.end(), shared.begin(), shared.end());
  const ProgramResult tuned = run_kvevict(words, {.folder = folder.string()});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  const eval::Results tried = eval::read_results(folder / "t.json");
  ASSERT_GT(tried.runs.size(), 4U);
  for (const eval::RunResult& run : tried.runs) {
    EXPECT_EQ(run.info.status, "complete");
    for (const eval::ExampleResult& e : run.datasets.at(0).examples)
      EXPECT_LE(e.kv_bytes_after_eviction, 6 << 20) << run.info.name;
  }
  const eval::Results judged = eval::read_results(folder / "t-held-out.json");
  EXPECT_EQ(judged.runs.at(0).info.name, "full");
  EXPECT_EQ(judged.data.at(0).ids.size(), 1U);
  EXPECT_EQ(tried.data.at(0).ids.size(), 2U);
  const std::string line = tuned.out.substr(tuned.out.find("run it    kvevict ") + 18);
  std::istringstream words_of_line(line.substr(0, line.find('\n')));
  std::vector<std::string> command = {std::istream_iterator<std::string>(words_of_line), {}};
  command.insert(command.end(), {"--output", "again.json"});
  const ProgramResult again = run_kvevict(command, {.folder = folder.string()});
  ASSERT_EQ(again.exit_code, 0) << line << again.err;
  const eval::Results whole = eval::read_results(folder / "again.json");
  EXPECT_EQ(whole.runs.at(0).info.name, judged.runs.at(1).info.name);
  EXPECT_EQ(whole.data.at(0).ids.size(), 3U);
  const eval::ExampleResult& held_out = judged.runs.at(1).datasets.at(0).examples.at(0);
  EXPECT_EQ(whole.runs.at(0).datasets.at(0).examples.at(2).prompt_sha256, held_out.prompt_sha256);
  EXPECT_EQ(run_kvevict({"compare", "t.json"}, {.folder = folder.string()}).exit_code, 0);
  EXPECT_EQ(run_kvevict({"report", "t.json", "t-held-out.json"}, {.folder = folder.string()}).exit_code, 0);
}

TEST(Tune, RefusesGoalsThatCannotBe) {
  EXPECT_EQ(run_kvevict({"tune"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"tune", "--min_score", "101"}).exit_code, 2);
  EXPECT_EQ(run_kvevict({"tune", "--kv_memory", "many"}).exit_code, 2);
}

}  // namespace
}  // namespace kvevict
