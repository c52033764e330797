#include "results/joined_results.h"

#include <gtest/gtest.h>

#include "support/example_results.h"

namespace kvevict::eval {
namespace {

Results about(const std::string& dataset, const std::string& model = "abcd") {
  Results results = example_results({"full", "sink_recent:4:100"}, {1, 0});
  for (RunResult& run : results.runs) {
    run.datasets[0].name = dataset;
    run.info.model_sha256 = model;
    run.info.configuration.erase("prompt_template_sha256.qasper");
    run.info.configuration["prompt_template_sha256." + dataset] = "of " + dataset;
  }
  results.data[0].dataset = dataset;
  return results;
}

TEST(JoinByDataset, JoinsTheSameRunsOverOtherDataSets) {
  const NamedResults joined =
      join_by_dataset({{"x/a.json", "x/b.json"}, {about("qasper"), about("musique")}});
  ASSERT_EQ(joined.files.size(), 1U);
  EXPECT_EQ(joined.names[0], "x/a+1.json");
  ASSERT_EQ(joined.files[0].runs.size(), 2U);
  EXPECT_EQ(joined.files[0].runs[1].datasets.size(), 2U);
  EXPECT_EQ(joined.files[0].data.size(), 2U);
  EXPECT_EQ(joined.files[0].runs[1].info.configuration.count("prompt_template_sha256.musique"), 1U);
  EXPECT_DOUBLE_EQ(joined.files[0].runs[0].info.seconds_total, 3.0);
}

TEST(JoinByDataset, LeavesApartWhatSharesADataSetOrDiffers) {
  EXPECT_EQ(join_by_dataset({{"a", "b"}, {about("qasper"), about("qasper")}}).files.size(), 2U);
  EXPECT_EQ(join_by_dataset({{"a", "b"}, {about("qasper"), about("musique", "other")}}).files.size(), 2U);
  Results bounded = about("musique");
  bounded.runs[1].info.configuration["prefill"] = "bounded";
  EXPECT_EQ(join_by_dataset({{"a", "b"}, {about("qasper"), bounded}}).files.size(), 2U);
  EXPECT_EQ(join_by_dataset({}).files.size(), 0U);
}

TEST(JoinByDataset, SaysOfAPartThatIsNotComplete) {
  Results part = about("musique");
  part.runs[0].info.status = "interrupted";
  const NamedResults joined = join_by_dataset({{"a", "b"}, {about("qasper"), part}});
  EXPECT_EQ(joined.files[0].runs[0].info.status, "interrupted");
  EXPECT_EQ(joined.files[0].runs[1].info.status, "complete");
}

}  // namespace
}  // namespace kvevict::eval
