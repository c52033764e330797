#include "experiments/example_selection.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

std::vector<LongBenchExample> examples(const std::string& documents) {
  std::vector<LongBenchExample> list;
  for (const char document : documents) {
    LongBenchExample example;
    example.id = std::to_string(list.size());
    example.context = document;
    list.push_back(example);
  }
  return list;
}

std::string ids(const std::vector<LongBenchExample>& list) {
  std::string text;
  for (const LongBenchExample& example : list) text += example.id;
  return text;
}

TEST(Shard, PartsAreDisjointAndCompleteAndKeepDocumentsTogether) {
  for (std::int64_t n = 1; n <= 5; ++n) {
    std::vector<int> times(10, 0);
    for (std::int64_t number = 1; number <= n; ++number) {
      std::int64_t n_documents = 0;
      for (const char* file : {"aaabb", "cdeff"}) {
        auto part = examples(file);
        keep_shard(part, {number, n}, n_documents);
        std::string documents;
        for (const auto& example : part) {
          ++times[static_cast<std::size_t>(std::stoi(example.id) + (file[0] == 'c' ? 5 : 0))];
          documents += example.context;
        }
        EXPECT_EQ(documents.find("aa") != std::string::npos, documents.find("aaa") != std::string::npos);
      }
      EXPECT_EQ(n_documents, 6);
    }
    EXPECT_EQ(times, std::vector<int>(10, 1)) << n;
  }
}

TEST(Shard, IsReadOrRefused) {
  EXPECT_EQ(parse_shard("2/4").number, 2);
  EXPECT_EQ(parse_shard("2/4").n, 4);
  for (const char* bad : {"", "2", "0/4", "5/4", "-1/4", "1/0", "a/b", "1/4x", "1/", "/4", "1/4/2"}) {
    EXPECT_THROW(static_cast<void>(parse_shard(bad)), Error) << bad;
  }
}

TEST(Ids, AreKeptInTheFilesOrderAndMissingOnesLeft) {
  auto list = examples("abcd");
  std::vector<std::string> missing = {"3", "1", "9"};
  keep_ids(list, {"3", "1", "9"}, missing);
  EXPECT_EQ(ids(list), "13");
  EXPECT_EQ(missing, std::vector<std::string>{"9"});
}

}  // namespace
}  // namespace kvevict::eval
