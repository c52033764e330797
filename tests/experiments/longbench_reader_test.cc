#include "experiments/longbench_reader.h"

#include <gtest/gtest.h>

#include <fstream>

#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict::eval {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRow =
    R"({"_id": "a", "input": "q", "context": "c", "answers": ["x"], "length": 3, "all_classes": null})";

fs::path file_of(const std::string& content) {
  const fs::path folder = test::work_folder();
  std::ofstream(folder / "qasper.jsonl", std::ios::binary | std::ios::trunc) << content;
  return folder / "qasper.jsonl";
}

std::vector<LongBenchExample> read(const std::string& content) {
  return read_longbench_file(file_of(content), std::nullopt);
}

void expect_refused(const std::string& content, const std::vector<std::string>& words) {
  try {
    static_cast<void>(read(content));
    ADD_FAILURE() << "no error for " << content.substr(0, 100);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    const std::string what = error.what();
    EXPECT_LT(what.size(), 600U) << "a sentence, not the file's content";
    for (const std::string& word : words) EXPECT_NE(what.find(word), std::string::npos) << what;
  }
}

TEST(LongBenchReader, PassesOverByteOrderMarksBlankLinesAndCarriageReturns) {
  std::string other = kRow;
  other.replace(other.find("\"a\""), 3, "\"b\"");
  const auto examples = read("\xEF\xBB\xBF" + std::string(kRow) + "\r\n\r\n \n" + other + "\r\n");
  ASSERT_EQ(examples.size(), 2U);
  EXPECT_EQ(examples[1].id, "b");
  EXPECT_EQ(examples[0].context, "c");
}

TEST(LongBenchReader, NamesWhatIsWrongAndWhere) {
  expect_refused("{\"input\": \"caf\xE9\"}", {"qasper.jsonl, line 1", "not UTF-8"});
  expect_refused("\xFF\xFE{\0}", {"line 1"});
  expect_refused(std::string(kRow) + "\n" + kRow, {"line 2", "_id \"a\"", "line 1"});
  expect_refused(R"({"input": "q", "context": "c"})", {"\"answers\" is missing"});
  expect_refused(R"({"input": "q", "context": "c", "answers": []})", {"\"answers\" is empty"});
  expect_refused(R"({"input": "q", "context": "c", "answers": [3]})", {"\"answers\"", "number"});
  expect_refused(R"({"input": 7, "context": "c", "answers": ["x"]})", {"\"input\" is number"});
  expect_refused(R"({"input": "q", "context": "c", "answers": ["x"], "length": "3"})",
                 {"\"length\" is string"});
  expect_refused("[1]", {"array found"});
}

TEST(LongBenchReader, ALongLineIsReadAndABrokenOneIsNotQuoted) {
  const std::string long_text(20'000'000, 'x');
  std::string row = kRow;
  row.replace(row.find("\"c\""), 3, "\"" + long_text + "\"");
  EXPECT_EQ(read(row)[0].context.size(), long_text.size());
  expect_refused("{\"input\": \"" + long_text, {"line 1, column"});
}

}  // namespace
}  // namespace kvevict::eval
