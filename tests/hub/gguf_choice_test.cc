#include "hub/gguf_choice.h"

#include <gtest/gtest.h>

#include <fstream>

#include "hub/locations.h"
#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

/// The first files of what a tag may mean.
Paths chosen(const Paths& paths, const std::string& tag) {
  Paths files;
  for (const GgufModel& model : choose_gguf(paths, tag)) files.push_back(model.parts.front());
  return files;
}

struct Choice {
  const char* what;
  Paths paths;
  std::string tag;
  Paths right;
};

TEST(ChooseGguf, TakesWhatATagMeans) {
  const Paths kinds = {"a.Q8_0.gguf",          "a.IQ4_K_M.gguf", "a.Q4_K_M.gguf",
                       "mmproj-a.Q4_K_M.gguf", "a.bf16.gguf",    "x.txt"};
  const Paths sizes = {"q-0.5b-it-q8_0.gguf", "q-7b-it-q8_0.gguf"};
  const std::vector<Choice> choices = {
      {"the usual kind", kinds, "", {"a.Q4_K_M.gguf"}},
      {"a kind in small letters", kinds, "BF16", {"a.bf16.gguf"}},
      {"a kind that is not there", kinds, "Q2_K", {}},
      {"a kind that others begin with", {"a.Q4_0.gguf", "a.Q4_0_4_4.gguf"}, "Q4_0", {"a.Q4_0.gguf"}},
      {"a kind behind an underscore", {"a_Q4_0.gguf", "a_Q8_0.gguf"}, "q4_0", {"a_Q4_0.gguf"}},
      {"the exact tag", {"big-I-Quality.gguf", "big-Quality.gguf"}, "Quality", {"big-Quality.gguf"}},
      {"the exact tag among folders",
       {"UD-Q4_K_XL/m-UD-Q4_K_XL.gguf", "Q4_K_XL/m-Q4_K_XL.gguf"},
       "Q4_K_XL",
       {"Q4_K_XL/m-Q4_K_XL.gguf"}},
      {"a file's name", kinds, "a.q8_0.gguf", {"a.Q8_0.gguf"}},
      {"two sizes of a kind", sizes, "Q8_0", sizes},
      {"one of two sizes", sizes, "7b-it-q8_0", {"q-7b-it-q8_0.gguf"}},
      {"no tag, two sizes", sizes, "", sizes},
      {"no tag, the one model",
       {"aaa-imatrix.gguf", "model-F16.gguf", "m_lora.gguf", "adapter-m.gguf"},
       "",
       {"model-F16.gguf"}},
      {"no tag, the second usual kind", {"z.gguf", "b.Q8_0.gguf"}, "", {"b.Q8_0.gguf"}},
      {"no tag, nothing usual", {"b-F16.gguf", "b-F32.gguf"}, "", {"b-F16.gguf", "b-F32.gguf"}},
      {"a merged model", {"m-lora-merged-Q8_0.gguf", "imatrix.gguf"}, "", {"m-lora-merged-Q8_0.gguf"}},
      {"no model", {"x.safetensors", "imatrix.gguf"}, "", {}},
  };
  for (const Choice& choice : choices)
    EXPECT_EQ(chosen(choice.paths, choice.tag), choice.right) << choice.what;
}

TEST(ChooseGguf, ASplitModelIsOneModel) {
  const Paths paths = {"m-Q6_K-00002-of-00003.gguf", "m-Q6_K-00001-of-00003.gguf", "m-Q8_0.gguf"};
  const std::vector<GgufModel> models = choose_gguf(paths, "Q6_K");
  ASSERT_EQ(models.size(), 1U);
  EXPECT_EQ(models[0].parts, (Paths{"m-Q6_K-00001-of-00003.gguf", "m-Q6_K-00002-of-00003.gguf"}));
  EXPECT_EQ(models[0].missing_parts, std::vector<int>{3});
  EXPECT_NE(no_gguf_sentence({"o/r", "Q6_K"}, paths).find("part 3 of 3"), std::string::npos);
}

TEST(NoGgufSentence, ListsWhatAnAmbiguousTagMayMean) {
  const std::string sentence = no_gguf_sentence({"o/r", "Q8_0"}, {"q-0.5b-q8_0.gguf", "q-7b-q8_0.gguf"});
  EXPECT_NE(sentence.find("o/r:0.5b-q8_0, o/r:7b-q8_0"), std::string::npos) << sentence;
}

/// A hub's cache with snapshots of o/r, the first of which refs/main names.
class CachedModel : public testing::Test {
 protected:
  void put(const std::string& commit, const std::string& path, bool as_link = true) {
    const fs::path file = repository_ / "snapshots" / commit / path;
    fs::create_directories(file.parent_path());
    fs::create_directories(repository_ / "blobs");
    const fs::path blob = repository_ / "blobs" / (commit + fs::path(path).filename().string());
    std::ofstream(as_link ? blob : file) << "x";
    if (as_link) fs::create_symlink(fs::relative(blob, file.parent_path()), file);
  }
  void set_main(const std::string& commit) {
    fs::create_directories(repository_ / "refs");
    std::ofstream(repository_ / "refs" / "main") << commit;
  }
  std::string found(const std::string& tag) {
    const auto files = find_cached_model(cache_, {"o/r", tag});
    return files.empty() ? "" : files.front().lexically_relative(repository_ / "snapshots").string();
  }

  HubCache cache_{test::make_work_folder()};
  fs::path repository_ = cache_.folder(HubKind::kModel, "o/r");
};

TEST_F(CachedModel, TheSnapshotOfTheMainBranchComesFirst) {
  put("one", "m-Q8_0.gguf");
  put("two", "m-Q8_0.gguf");
  set_main("one");
  EXPECT_EQ(found("Q8_0"), "one/m-Q8_0.gguf");
}

TEST_F(CachedModel, AnOlderSnapshotServesWhereTheNewestLacksTheFile) {
  put("old", "m-Q8_0.gguf");
  put("new", "README.md");
  set_main("new");
  EXPECT_EQ(found("Q8_0"), "old/m-Q8_0.gguf");
  EXPECT_EQ(found("Q4_0"), "");
}

TEST_F(CachedModel, CopiesMissingRefsAndBrokenLinks) {
  put("one", "m-Q8_0.gguf", false);
  EXPECT_EQ(found(""), "one/m-Q8_0.gguf") << "no refs/main, and a copy for a link";
  put("two", "m-Q4_0.gguf");
  fs::remove_all(repository_ / "blobs");
  EXPECT_EQ(found("Q4_0"), "") << "a link to nothing";
}

TEST_F(CachedModel, ASplitModelMustBeWhole) {
  put("one", "m-00001-of-00002.gguf");
  EXPECT_EQ(found(""), "");
  put("one", "m-00002-of-00002.gguf");
  EXPECT_EQ(found(""), "one/m-00001-of-00002.gguf");
}

}  // namespace
}  // namespace kvevict
