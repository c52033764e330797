#include "base/folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

TEST(EntriesOf, AreSortedAndOfSubfoldersOnlyIfAsked) {
  const fs::path folder = test::make_work_folder();
  fs::create_directories(folder / "b");
  for (const char* name : {"c", "a", "b/d"}) std::ofstream(folder / name) << "x";
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries_of(folder))
    names.push_back(entry.path().filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(entries_of(folder, true).size(), 4U);
}

TEST(EntriesOf, WhatIsNoFolderHasNoneAndThrowsNothing) {
  EXPECT_TRUE(entries_of("/nowhere/at/all").empty());
  EXPECT_TRUE(entries_of(std::string(5000, 'x')).empty());
  const fs::path file = fs::path(test::make_work_folder()) / "file";
  std::ofstream(file) << "x";
  EXPECT_TRUE(entries_of(file).empty());
}

}  // namespace
}  // namespace kvevict
