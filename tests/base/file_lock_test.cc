#include "base/file_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

TEST(FileLock, ExcludesOthersUntilItEnds) {
  const fs::path path = fs::path(test::make_work_folder()) / "lock";
  {
    const FileLock lock(path);
    EXPECT_THROW(FileLock{path}, Error);
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_NO_THROW(FileLock{path});
}

TEST(FileLock, IsHeldByOneAtATimeHoweverManyTryWhileItEnds) {
  // The race: one opens the file, the holder removes its name, the first locks a file without a name, and a
  // third makes a new one and locks that.
  const fs::path path = fs::path(test::make_work_folder()) / "lock";
  std::atomic<int> n_holders = 0;
  std::atomic<int> n_most = 0;
  std::atomic<int> n_locked = 0;
  const auto work = [&] {
    for (int i = 0; i < 6000; ++i) {
      try {
        const FileLock lock(path);
        const int n = ++n_holders;
        int most = n_most;
        while (n > most && !n_most.compare_exchange_weak(most, n)) {
        }
        ++n_locked;
        for (int pause = 0; pause < 20; ++pause) std::this_thread::yield();  // so that two holders would meet
        --n_holders;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kIo);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(n_locked, 0);
  EXPECT_EQ(n_most, 1);
}

TEST(FileLock, IsSharedByThoseWhoShareItAndByNobodyElse) {
  const fs::path path = fs::path(test::make_work_folder()) / "lock";
  {
    std::optional<FileLock> first(std::in_place, path, FileLock::Kind::kShared);
    const FileLock second(path, FileLock::Kind::kShared);
    EXPECT_THROW(FileLock{path}, Error);
    first.reset();
    EXPECT_THROW(FileLock{path}, Error) << "the second one still has it";
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  FileLock alone(path);
  EXPECT_THROW(FileLock(path, FileLock::Kind::kShared), Error);
  alone.share();
  EXPECT_NO_THROW(FileLock(path, FileLock::Kind::kShared));
}

TEST(FileLock, WaitsUntilNobodyElseHasIt) {
  const fs::path path = fs::path(test::make_work_folder()) / "lock";
  std::atomic<int> n_inside = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const FileLock lock(path, FileLock::Kind::kWhenFree);
        EXPECT_EQ(++n_inside, 1);
        --n_inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(FileLock, ANameThatNoFileSystemTakesIsRefused) {
  EXPECT_THROW(FileLock{std::string(5000, 'x')}, Error);
  EXPECT_THROW(FileLock{"/nowhere/lock"}, Error);
}

}  // namespace
}  // namespace kvevict
