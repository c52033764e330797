#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace kvevict::test {

/// The folder of the running test alone, whatever runs beside it; made if it is not there.
[[nodiscard]] inline std::filesystem::path work_folder() {
  const testing::TestInfo* const test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(test->test_suite_name()) + "." + test->name();
  for (char& c : name) c = c == '/' ? '-' : c;
  std::filesystem::path folder = std::filesystem::path(KVEVICT_TEST_WORK_DIR) / name;
  std::filesystem::create_directories(folder);
  return folder;
}

/// The same, empty.
[[nodiscard]] inline std::string make_work_folder() {
  std::filesystem::remove_all(work_folder());
  return work_folder().string();
}

}  // namespace kvevict::test
