#include "engine/gguf_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "kvevict/error.h"
#include "kvevict/session_file.h"
#include "support/split_model.h"
#include "support/test_models.h"
#include "support/work_folder.h"
#include "text/hashes.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

class SplitFileTest : public testing::Test {
 protected:
  std::string refusal(const fs::path& path, ErrorCode code) {
    try {
      static_cast<void>(Model::load({.path = path}));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << path << ": no error";
    return {};
  }

  fs::path folder_ = test::make_work_folder();
  std::vector<fs::path> parts_ = test::split_model(test::tiny_model_path(), folder_, 3);
};

TEST_F(SplitFileTest, AllPartsCount) {
  const GgufFile whole(test::tiny_model_path());
  const GgufFile split(parts_.front());
  EXPECT_EQ(split.files(), parts_);
  EXPECT_EQ(split.tensor_bytes_by_layer(6), whole.tensor_bytes_by_layer(6));
  std::int64_t n_bytes = 0;
  for (const fs::path& part : parts_) n_bytes += static_cast<std::int64_t>(fs::file_size(part));
  EXPECT_EQ(split.file_bytes(), n_bytes);

  const auto model = Model::load({.path = parts_.front()});
  EXPECT_EQ(model->info().file_bytes, n_bytes);
  EXPECT_EQ(model->info().weight_bytes, test::load_model(test::tiny_model_path())->info().weight_bytes);
}

TEST_F(SplitFileTest, TheChecksumIsThatOfAllPartsAndOfAWholeFileThatOfTheFile) {
  EXPECT_EQ(test::load_model(test::tiny_model_path())->sha256(), sha256_of_file(test::tiny_model_path()));
  std::ofstream joined(folder_ / "joined", std::ios::binary);
  for (const fs::path& part : parts_) joined << std::ifstream(part, std::ios::binary).rdbuf();
  joined.close();
  EXPECT_EQ(Model::load({.path = parts_.front()})->sha256(), sha256_of_file(folder_ / "joined"));
}

TEST_F(SplitFileTest, ASavedSessionIsRefusedWithOtherWeightsInALaterPart) {
  Session session(Model::load({.path = parts_.front()}), make_policy("full"), {});
  session.append(std::vector<Token>{1, 2, 3});
  save_session(session, folder_ / "saved");
  EXPECT_NO_THROW(
      static_cast<void>(load_session(Model::load({.path = parts_.front()}), folder_ / "saved", {})));
  std::fstream file(parts_[1], std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-64, std::ios::end);
  file << "other";
  file.close();
  const auto other = Model::load({.path = parts_.front()});
  EXPECT_THROW(static_cast<void>(load_session(other, folder_ / "saved", {})), Error);
}

TEST_F(SplitFileTest, AMissingOrCutPartIsNamedBeforeLlamaCppIsAsked) {
  fs::resize_file(parts_[2], fs::file_size(parts_[2]) - 64);  // more than the padding at its end
  const std::string cut = refusal(parts_[0], ErrorCode::kBadData);
  EXPECT_NE(cut.find(parts_[2].string() + " is truncated"), std::string::npos) << cut;
  fs::remove(parts_[1]);
  const std::string missing = refusal(parts_[0], ErrorCode::kNotFound);
  EXPECT_NE(missing.find("part 2 of 3"), std::string::npos) << missing;
  EXPECT_NE(missing.find(parts_[1].string()), std::string::npos) << missing;
}

TEST_F(SplitFileTest, ALaterPartAndARenamedOneAreNoModel) {
  const std::string later = refusal(parts_[1], ErrorCode::kBadData);
  EXPECT_NE(later.find("name the first, " + parts_[0].string()), std::string::npos) << later;
  fs::rename(parts_[0], folder_ / "renamed.gguf");
  const std::string renamed = refusal(folder_ / "renamed.gguf", ErrorCode::kBadData);
  EXPECT_NE(renamed.find("must end in -00001-of-00003.gguf"), std::string::npos) << renamed;
}

TEST(GgufFile, AFileThatIsNoModelIsSaidToBeWhatItIs) {
  const fs::path path = fs::path(test::make_work_folder()) / "m.gguf";
  const GgufHandle gguf(gguf_init_empty());
  gguf_set_val_str(gguf.get(), "general.type", "imatrix");
  ASSERT_TRUE(gguf_write_to_file(gguf.get(), path.c_str(), true));
  try {
    const GgufFile file(path);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("importance matrix"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace kvevict
