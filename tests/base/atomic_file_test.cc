#include "base/atomic_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/folder.h"
#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(AtomicFile, TheOldFileStaysUntilTheNewOneIsComplete) {
  const fs::path folder = test::make_work_folder();
  write_file_atomically(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("new, but never finished");
    EXPECT_EQ(content(folder / "f"), "old");
  }
  EXPECT_EQ(content(folder / "f"), "old");
  EXPECT_EQ(entries_of(folder).size(), 1U) << "the unfinished file is still there";
  AtomicFile file(folder / "f");
  file.write("ne");
  file.write("w");
  file.commit();
  EXPECT_EQ(content(folder / "f"), "new");
}

TEST(AtomicFile, WhatCannotBeWrittenIsRefusedInOneSentence) {
  for (const fs::path& path : {fs::path("/proc/x/y"), fs::path(std::string(5000, 'x')), fs::path("/")}) {
    try {
      require_writable(path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
    }
  }
}

}  // namespace
}  // namespace kvevict
