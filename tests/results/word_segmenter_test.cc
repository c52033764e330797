#include "results/word_segmenter.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "kvevict/error.h"
#include "text/jsonl.h"

namespace kvevict::eval {
namespace {

const WordSegmenter& segmenter() {
  static const WordSegmenter kSegmenter(std::filesystem::path(KVEVICT_DATA_DIR) / "jieba");
  return kSegmenter;
}

void expect_all_equal(const std::string& file, int least) {
  int n = 0;
  for_each_jsonl_row(std::filesystem::path(KVEVICT_TEST_DATA_DIR) / file, [&](const JsonlRow& row) {
    EXPECT_EQ(segmenter().cut(row.text("text")), row.texts("tokens", true)) << row.place();
    ++n;
    return true;
  });
  EXPECT_GE(n, least);
}

TEST(WordSegmenter, EqualsJiebaOnTheGivenExamples) {
  expect_all_equal("jieba_examples.jsonl", 80);
}

TEST(WordSegmenter, EqualsJiebaOnRecordedMixtures) {
  expect_all_equal("jieba_more.jsonl", 600);
}

TEST(WordSegmenter, EmptyTextHasNoWords) {
  EXPECT_TRUE(segmenter().cut("").empty());
}

TEST(WordSegmenter, BrokenUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(segmenter().cut("\xE4\xB8中国"), (std::vector<std::string>{"\uFFFD", "中国"}));
}

TEST(WordSegmenter, NamesTheMissingTables) {
  try {
    const WordSegmenter missing("/nonexistent/jieba");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("/nonexistent/jieba/dict.txt"), std::string::npos);
  }
}

}  // namespace
}  // namespace kvevict::eval
