#include "text/remembered_hash.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <ctime>
#include <fstream>
#include <vector>

#include "kvevict/error.h"
#include "support/work_folder.h"
#include "text/hashes.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

class RememberedHashTest : public testing::Test {
 protected:
  /// A file that says it changed an hour ago; the time of its inode's change is now, and cannot be set.
  void write(const std::string& text) {
    std::ofstream(file_) << text;
    const timespec then{.tv_sec = std::time(nullptr) - 3600, .tv_nsec = 0};
    const std::array times{then, then};
    ASSERT_EQ(utimensat(AT_FDCWD, file_.c_str(), times.data(), 0), 0);
  }

  [[nodiscard]] std::string hash() const { return remembered_sha256({&file_, 1}, memory_); }

  [[nodiscard]] std::vector<fs::path> remembered() const {
    std::vector<fs::path> files;
    if (!fs::exists(memory_)) return files;
    for (const auto& entry : fs::directory_iterator(memory_)) files.push_back(entry.path());
    return files;
  }

  fs::path folder_ = test::make_work_folder();
  fs::path file_ = folder_ / "model.gguf";
  fs::path memory_ = folder_ / "checksums";
};

TEST_F(RememberedHashTest, AFileThatHasJustChangedIsNotRemembered) {
  write("weights");
  EXPECT_EQ(hash(), sha256_hex("weights"));
  EXPECT_TRUE(remembered().empty());
  write("Weights");  // as long, and within the same second
  EXPECT_EQ(hash(), sha256_hex("Weights"));
}

TEST_F(RememberedHashTest, AnOldFileIsReadOnceUntilItChanges) {
  const fs::path old = "/proc/self/exe";  // of this program: built long ago, as far as two seconds are
  struct stat program {};
  ASSERT_EQ(::stat(old.c_str(), &program), 0);
  if (program.st_ctim.tv_sec + 3 > std::time(nullptr)) GTEST_SKIP() << "this program was built just now";
  const fs::path path = fs::canonical(old);
  const std::string hash = remembered_sha256({&path, 1}, memory_);
  EXPECT_EQ(hash, sha256_of_file(path));
  ASSERT_EQ(remembered().size(), 1U);
  const std::string another(64, 'a');
  std::ofstream(remembered().front()) << another << "\n";
  EXPECT_EQ(remembered_sha256({&path, 1}, memory_), another) << "it was read again";
  std::ofstream(remembered().front()) << "no hash\n";
  EXPECT_EQ(remembered_sha256({&path, 1}, memory_), hash) << "what is damaged is computed again";
}

TEST_F(RememberedHashTest, WithoutAFolderItIsComputed) {
  write("weights");
  EXPECT_EQ(remembered_sha256({&file_, 1}, {}), sha256_hex("weights"));
  const fs::path path = fs::canonical("/proc/self/exe");
  EXPECT_EQ(remembered_sha256({&path, 1}, "/proc/nowhere"), sha256_of_file(path));
}

TEST_F(RememberedHashTest, AMissingFileIsAnError) {
  EXPECT_THROW((void)hash(), Error);
}

}  // namespace
}  // namespace kvevict
