#include "hub/locations.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/cache_folder.h"
#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

/// A fresh folder and an environment that knows nothing but it; everything is put back afterwards.
class LocationsTest : public testing::Test {
 protected:
  LocationsTest() {
    for (const char* name : {"KVEVICT_MODEL", "KVEVICT_DATA", "XDG_CACHE_HOME", "HOME"}) {
      const char* const value = std::getenv(name);
      old_.emplace_back(name, value == nullptr ? std::optional<std::string>() : std::string(value));
      unsetenv(name);
    }
  }
  ~LocationsTest() override {
    for (const auto& [name, value] : old_)
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }

  static void touch(const fs::path& path) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "x";
  }

  static std::string error_of(const std::string& model) {
    try {
      static_cast<void>(find_model(model));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNotFound);
      return error.what();
    }
    return "no error";
  }

  fs::path folder_ = test::make_work_folder();
  std::vector<std::pair<std::string, std::optional<std::string>>> old_;
};

TEST_F(LocationsTest, TheNamedModelComesBeforeTheCachedOne) {
  setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  const fs::path cached = folder_ / "kvevict" / "models" / kDefaultModelFile;
  touch(cached);
  EXPECT_EQ(find_model("default"), cached);
  const fs::path own = folder_ / "own.gguf";
  touch(own);
  setenv("KVEVICT_MODEL", own.c_str(), 1);
  EXPECT_EQ(find_model("default"), own);
}

TEST_F(LocationsTest, WithoutXdgTheCacheIsInTheHomeFolder) {
  setenv("HOME", folder_.c_str(), 1);
  EXPECT_EQ(cache_folder(), folder_ / ".cache" / "kvevict");
  setenv("XDG_CACHE_HOME", "relative", 1);  // the standard says: to be ignored
  EXPECT_EQ(cache_folder(), folder_ / ".cache" / "kvevict");
}

TEST_F(LocationsTest, AMissingModelIsSaidWithThePlaceAndTheWayOut) {
  setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  EXPECT_NE(error_of("default").find((folder_ / "kvevict" / "models").string()), std::string::npos)
      << error_of("default");
  EXPECT_NE(error_of("default").find("setup.sh"), std::string::npos);
  EXPECT_NE(error_of("/no/such.gguf").find("/no/such.gguf"), std::string::npos);
  setenv("KVEVICT_MODEL", "/no/such.gguf", 1);
  touch(folder_ / "kvevict" / "models" / kDefaultModelFile);
  EXPECT_NE(error_of("default").find("/no/such.gguf"), std::string::npos)
      << "a named model that is not there is no reason to take another";
}

TEST_F(LocationsTest, TheDataFolderIsTheSourceTreesUnlessAnotherIsNamed) {
  EXPECT_EQ(fs::canonical(data_folder()), fs::canonical(KVEVICT_DATA_DIR));
  setenv("KVEVICT_DATA", folder_.c_str(), 1);
  EXPECT_THROW(static_cast<void>(data_folder()), Error);
  fs::create_directories(folder_ / "longbench");
  EXPECT_EQ(data_folder(), folder_);
}

}  // namespace
}  // namespace kvevict
