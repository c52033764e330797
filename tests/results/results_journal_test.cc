#include "results/results_journal.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include "kvevict/error.h"
#include "support/example_results.h"
#include "support/work_folder.h"

namespace kvevict::eval {
namespace {

namespace fs = std::filesystem;

class ResultsJournalTest : public testing::Test {
 protected:
  [[nodiscard]] std::string content() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  [[nodiscard]] std::optional<Results> read() const { return ResultsJournal(path_).read(); }

  /// The file without examples, and then its examples one by one.
  void write_all(const Results& results) const {
    ResultsJournal journal(path_);
    Results header = results;
    header.prompts.clear();
    for (RunResult& run : header.runs) run.datasets.clear();
    journal.start(header);
    for (const RunResult& run : results.runs) {
      for (const DatasetResult& dataset : run.datasets) {
        for (const ExampleResult& e : dataset.examples) {
          journal.append(run.info.name, dataset.name, e, results.prompts.at(e.prompt_sha256),
                         run.info.seconds_total);
        }
      }
    }
  }

  fs::path path_ = fs::path(test::make_work_folder()) / "results.journal";
  Results results_ = example_results({"full", "sink_recent:4:316"}, {0.25, 1.0 / 3, 1.0});
};

TEST_F(ResultsJournalTest, GivesBackWhatWasAppended) {
  write_all(results_);
  EXPECT_EQ(to_json(read().value()), to_json(results_));
}

TEST_F(ResultsJournalTest, CutAtEveryByteItLosesNoMoreThanTheLineInFlight) {
  write_all(results_);
  const std::string whole = content();
  for (std::size_t n = 0; n <= whole.size(); n += 1 + n % 7) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole.substr(0, n);
    const auto n_lines = std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n), '\n');
    const std::optional<Results> results = read();
    ASSERT_EQ(results.has_value(), n_lines > 0) << n;
    std::int64_t n_examples = 0;
    for (const RunResult& run : results.value_or(Results{}).runs) {
      for (const DatasetResult& dataset : run.datasets)
        n_examples += static_cast<std::int64_t>(dataset.examples.size());
    }
    ASSERT_EQ(n_examples, std::max<std::int64_t>(n_lines - 1, 0)) << n;
  }
}

TEST_F(ResultsJournalTest, GoesOnBehindATornLine) {
  write_all(results_);
  const std::string whole = content();
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole.substr(0, whole.size() - 9);
  {
    ResultsJournal journal(path_);
    ASSERT_TRUE(journal.read().has_value());
    const ExampleResult& last = results_.runs[1].datasets[0].examples[2];
    journal.append(results_.runs[1].info.name, "qasper", last, "prompt c", 1.5);
  }
  EXPECT_EQ(to_json(read().value()), to_json(results_));
}

TEST_F(ResultsJournalTest, LeavesNoFileWhereNothingWasDone) {
  EXPECT_FALSE(read().has_value());
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(ResultsJournalTest, RefusesASecondRunAtTheSameTime) {
  const ResultsJournal first(path_);
  try {
    const ResultsJournal second(path_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("another run is writing it"), std::string::npos);
  }
}

TEST_F(ResultsJournalTest, RefusesALineThatWasChangedByHand) {
  write_all(results_);
  std::string whole = content();
  whole.replace(whole.find("\n{") + 1, 1, "[");
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole;
  try {
    static_cast<void>(read());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
  }
}

TEST_F(ResultsJournalTest, AFullDiskLosesOnlyTheExampleInFlight) {
  write_all(results_);
  const std::string whole = content();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    ResultsJournal journal(path_);
    static_cast<void>(journal.read());
    const rlimit limit{whole.size() + 10, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_THROW(journal.append("full", "qasper", example_result("x", 1), "prompt", 2), Error);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  }
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(content(), whole);
}

}  // namespace
}  // namespace kvevict::eval
