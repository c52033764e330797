#include "plot/report.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "kvevict/error.h"
#include "plot/html.h"
#include "plot/prompt_segments.h"
#include "support/example_results.h"
#include "support/work_folder.h"

namespace kvevict::plot {
namespace {

namespace fs = std::filesystem;
using eval::example_results;

std::vector<eval::NamedRun> named(const eval::Results& results) {
  std::vector<eval::NamedRun> runs;
  for (const eval::RunResult& run : results.runs) runs.push_back({run.info.name, &run, &results});
  return runs;
}

/// The JSON that the page's script reads.
nlohmann::json data_of(const std::string& html) {
  const std::string opening = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = html.find(opening) + opening.size();
  return nlohmann::json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

TEST(Report, HoldsEveryRunAndExample) {
  const eval::Results results = example_results({"full", "sink_recent:4:100"}, {1, 0.5, 0});
  const std::string html = report_html(named(results), {}, {.title = "A & B"});
  EXPECT_NE(html.find("<title>A &amp; B</title>"), std::string::npos);
  const nlohmann::json data = data_of(html);
  ASSERT_EQ(data["examples"].size(), 3U);
  EXPECT_EQ(data["runs"][1]["name"], "sink_recent:4:100");
  EXPECT_EQ(data["examples"][2]["runs"][1]["prediction"], "answer to c");
  EXPECT_EQ(data["prompts"]["sha of a"], "prompt a");
  EXPECT_FALSE(data["examples"][0]["runs"][0]["exact"]);  // nothing told where the tokens end
  EXPECT_NE(html.find("data-example=\"2\""), std::string::npos);
}

TEST(Report, NeedsNoNetwork) {
  const eval::Results results = example_results({"full"}, {1});
  std::string html = report_html(named(results), {}, {});
  html = std::regex_replace(html, std::regex("http://www.w3.org/(2000/svg|1999/xlink)"),
                            "");  // names, not addresses
  for (const char* const forbidden : {"http:", "https:", "src=", "@import", "url(http", "<link"}) {
    EXPECT_EQ(html.find(forbidden), std::string::npos) << forbidden;
  }
}

TEST(Report, KeepsHostileTextsAsTexts) {
  const std::string hostile =
      "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\xE2\x80\xA8";
  eval::Results results = example_results({hostile, "full"}, {1});
  eval::ExampleResult& example = results.runs[0].datasets[0].examples[0];
  example.prediction = hostile;
  example.answers = {hostile};
  results.prompts[example.prompt_sha256] = hostile;
  results.runs[0].info.model_name = hostile;
  results.runs[0].info.machine["cpu"] = hostile;
  results.runs[0].datasets[0].name = hostile;
  const std::string html = report_html(named(results), {}, {.title = hostile});
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(data_of(html)["examples"][0]["runs"][0]["prediction"], hostile);
}

TEST(Report, LeavesPromptsOutBeyondTheLimit) {
  const eval::Results results = example_results({"full"}, {1, 1, 1});
  const std::string html = report_html(named(results), {}, {.n_prompts = 1});
  EXPECT_EQ(data_of(html)["prompts"].size(), 1U);
  EXPECT_NE(html.find("The prompts of 2 more examples are left out"), std::string::npos);
}

TEST(Report, SaysWhyRunsAreNotCompared) {
  eval::Results results = example_results({"full", "sink_recent:4:100"}, {1});
  results.runs[1].info.model_sha256 = "another";
  EXPECT_NE(report_html(named(results), {}, {}).find("The runs are not compared pair by pair: "),
            std::string::npos);
  EXPECT_THROW(static_cast<void>(report_html({}, {}, {})), Error);
}

TEST(TextSegments, FollowTheTokens) {
  const std::string text =
      "ab\xE4\xB8\xAD"
      "c\xF0\x9F\x98\x80"
      "d";                                                  // a b 中 c 😀 d: 7 UTF-16 units
  const std::vector<std::size_t> ends = {2, 4, 6, 10, 11};  // the second token ends within 中
  const std::vector<KeepSet> layers = {KeepSet::from_ranges({{0, 1}, {3, 5}})};
  const std::vector<TextSegment> expected = {{2, Fate::kKept}, {4, Fate::kEvicted}, {7, Fate::kKept}};
  EXPECT_EQ(text_segments(text, ends, layers), expected);
}

TEST(TextSegments, TellLayersApart) {
  const std::vector<std::size_t> ends = {1, 2, 3};
  const std::vector<KeepSet> layers = {KeepSet::from_ranges({{0, 2}}), KeepSet::from_ranges({{1, 2}})};
  const std::vector<TextSegment> expected = {
      {1, Fate::kKeptInSomeLayers}, {2, Fate::kKept}, {3, Fate::kEvicted}};
  EXPECT_EQ(text_segments("abc", ends, layers), expected);
  EXPECT_EQ(even_token_ends("abcdefgh", 4), (std::vector<std::size_t>{2, 4, 6, 8}));
}

/// Standard output and standard error of a command.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>&1").c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) text += buffer.data();
  return text;
}

/// A real browser opens the page, runs its script without an error, and shows an example's prompt.
TEST(ReportInABrowser, RunsWithoutAnErrorAndOpensAnExample) {
  std::string browser;
  for (const char* const name : {"chromium", "chromium-browser", "google-chrome"}) {
    if (browser.empty() && std::system((std::string("command -v ") + name + " >/dev/null 2>&1").c_str()) == 0)
      browser = name;
  }
  if (browser.empty())
    GTEST_SKIP() << "no headless browser is installed (chromium): the page is not opened in one";
  const fs::path folder = test::make_work_folder();
  const eval::Results results = example_results({"full", "sink_recent:4:100"}, {1, 0.5, 0});
  std::ofstream(folder / "report.html") << report_html(named(results), {}, {});
  const std::string start =
      "timeout 100 " + browser +
      " --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
      "--enable-logging=stderr --window-size=900,1400 --virtual-time-budget=3000 --user-data-dir='" +
      (folder / "profile").string() + "' --screenshot='" + (folder / "page.png").string() + "' --dump-dom '";
  const std::string dom = output_of(start + "file://" + (folder / "report.html").string() + "#example-1'");
  if (dom.find("<html") == std::string::npos)
    GTEST_SKIP() << "the browser " << browser << " cannot run here: " << dom.substr(0, 300);
  EXPECT_GT(fs::file_size(folder / "page.png"), 10000U);  // the screenshot is there and shows something
  EXPECT_NE(dom.find("data-ready=\"yes\""), std::string::npos);
  EXPECT_EQ(dom.find("Uncaught"), std::string::npos) << dom.substr(0, 2000);
  EXPECT_EQ(dom.find(":CONSOLE"), std::string::npos) << dom.substr(0, 2000);
  EXPECT_NE(dom.find("answer to b"), std::string::npos);
  EXPECT_NE(dom.find("<span class=\"kept\">"), std::string::npos);
  EXPECT_NE(dom.find("<span class=\"gone\">"), std::string::npos);
}

}  // namespace
}  // namespace kvevict::plot
