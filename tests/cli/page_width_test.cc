#include "cli/paragraph.h"

#include <gtest/gtest.h>

#include "cli/longbench_report.h"
#include "support/example_results.h"

namespace kvevict::cli {
namespace {

TEST(Paragraph, BreaksAtBlanksWithinTheWidth) {
  EXPECT_EQ(paragraph("one two three", 0, false, 7), "one two\nthree\n");
  EXPECT_EQ(paragraph("one two three", 2, false, 7), "  one\n  two\n  three\n");
  EXPECT_EQ(paragraph("one two three", 4, true, 11), "one two\n    three\n");
  EXPECT_EQ(paragraph("a  b\nc", 0, false, 80), "a b c\n");
  EXPECT_EQ(paragraph("", 0, false, 80), "\n");
}

TEST(Paragraph, ALongWordHasALineOfItsOwn) {
  EXPECT_EQ(paragraph("a /a/very/long/path b", 0, false, 6), "a\n/a/very/long/path\nb\n");
}

TEST(Paragraph, CountsCharactersAndNotBytes) {
  EXPECT_EQ(count_characters("für 30 €"), 8U);
  EXPECT_EQ(paragraph("für für", 0, false, 7), "für für\n");
}

std::size_t widest_line(const std::string& text) {
  std::size_t widest = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = text.find('\n', from);
    widest = std::max(widest, count_characters(text.substr(from, end - from)));
    from = end + 1;
  }
  return widest;
}

TEST(LongBenchTable, NamesADataSetOnceAndFitsTheTerminal) {
  eval::Results results =
      eval::example_results({"full", "sink_recent:256:1024", "sink_recent_uniform:64:256:512"}, {0.5, 1, 0});
  const std::string one = summary_table(results);
  EXPECT_LE(widest_line(one), kPageWidth) << one;
  EXPECT_EQ(one.find("qasper", one.find("qasper") + 1), std::string::npos) << one;
  EXPECT_NE(one.find("qasper: 3 examples, prompts of "), std::string::npos) << one;
  EXPECT_EQ(one.find("all "), std::string::npos) << one;
  for (eval::RunResult& run : results.runs) {
    run.datasets.push_back(run.datasets.front());
    run.datasets.back().name = "gov_report";
  }
  results.runs[1].datasets[1].examples.pop_back();
  const std::string two = summary_table(results);
  EXPECT_LE(widest_line(two), kPageWidth) << two;
  EXPECT_NE(two.find("ROUGE-L"), std::string::npos) << two;
  EXPECT_NE(two.find("all 2 data sets: "), std::string::npos) << two;
}

TEST(LongBenchProgress, ALineNamesTheExampleOnceAndFitsTheTerminal) {
  eval::Results results = eval::example_results(
      {"full", "sink_recent_uniform:64:256:512", "sink_recent_uniform:64:256:1024"}, {1});
  EXPECT_EQ(short_run_name(results, 0), "full");
  EXPECT_EQ(short_run_name(results, 1), "sink_recent_uniform:64:256:512");
  eval::ExampleResult demo = eval::example_result("multifieldqa_en-demo-1-1", 0.25);
  demo.is_truncated = false;
  EXPECT_EQ(describe_example("full", "multifieldqa_en", demo), "multifieldqa_en-demo-1-1: F1 0.25 by full");
  eval::ExampleResult hub = eval::example_result(std::string(48, 'e'), 1);
  EXPECT_EQ(describe_example("full", "qasper", hub),
            "qasper eeeeeeeeeeeeeeeeee…: F1 1.00 by full, prompt cut");
}

}  // namespace
}  // namespace kvevict::cli
