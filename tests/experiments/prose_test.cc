#include "experiments/prose.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

const std::string kParagraph =
    "The old harbour lies behind the hill, and boats come in with the tide. Nobody\nremembers who built its "
    "long "
    "wall.\tIt was there before the town!";

TEST(Prose, SentencesAreOnOneLineEachWithASpaceBehind) {
  const std::vector<std::string> sentences = prose_sentences(kParagraph);
  ASSERT_EQ(sentences.size(), 3U);
  EXPECT_EQ(sentences[1], "Nobody remembers who built its long wall. ");
  EXPECT_EQ(sentences[2], "It was there before the town! ");
}

TEST(Prose, HeadingsTablesAndCodeAreLeftOut) {
  const std::string table =
      "| name | a name of a thing that has a name | | size | its size in bytes | | date | its date | | end | "
      "it "
      "ends | | last | it is the last one |.";
  const std::string code =
      "for (int i = 0; i < n; ++i) { sum[i] += a[i] * b[i]; } return sum[n - 1] / (n + 1); "
      "while (x != y) { x = (x + y) >> 1; } exit(-1); /* at its end */.";
  const std::string text = "A HEADING\n\n" + table + "\n\n" + kParagraph + "\n  \n" + code + "\n\n1.2 Next\n";
  EXPECT_EQ(prose_sentences(text), prose_sentences(kParagraph));
  EXPECT_TRUE(prose_sentences("").empty());
}

TEST(Prose, AFileWithoutProseAndOneThatIsNotThereAreRefusedByName) {
  const auto file = std::filesystem::path(KVEVICT_TEST_WORK_DIR) / "heading.txt";
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << "A HEADING\n";
  for (const auto& [path, code] : {std::pair{file, ErrorCode::kBadData},
                                   std::pair{file.parent_path() / "no.txt", ErrorCode::kNotFound}}) {
    try {
      static_cast<void>(read_prose(path));
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace kvevict::eval
