#include "base/processors.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/work_folder.h"

namespace kvevict {
namespace {

int quota_of(const std::string& text) {
  const std::string file = test::make_work_folder() + "/cpu.max";
  std::ofstream(file) << text;
  return quota_processors(file);
}

TEST(QuotaProcessors, AreTheQuotaInPeriodsRoundedUp) {
  EXPECT_EQ(quota_of("200000 100000\n"), 2);
  EXPECT_EQ(quota_of("150000 100000\n"), 2);
  EXPECT_EQ(quota_of("10000 100000\n"), 1);
  EXPECT_EQ(quota_of("max 100000\n"), kNoQuota);
}

TEST(QuotaProcessors, AnUnreadableQuotaIsNone) {
  EXPECT_EQ(quota_of(""), kNoQuota);
  EXPECT_EQ(quota_of("x y"), kNoQuota);
  EXPECT_EQ(quota_of("100 0"), kNoQuota);
  EXPECT_EQ(quota_processors("/nowhere/cpu.max"), kNoQuota);
}

/// A file with `text`, its folders made.
void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

TEST(GroupQuota, IsTheLeastOfTheGroupAndThoseAroundIt) {
  const std::filesystem::path folder = test::make_work_folder();
  write(folder / "groups", "0::/user.slice/chat.scope\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), kNoQuota);
  write(folder / "cgroup/user.slice/chat.scope/cpu.max", "max 100000\n");
  write(folder / "cgroup/user.slice/cpu.max", "300000 100000\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), 3);
  write(folder / "cgroup/user.slice/chat.scope/cpu.max", "200000 100000\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), 2);
  write(folder / "cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), 1);
}

TEST(GroupQuota, IsReadInTheOlderVersionToo) {
  const std::filesystem::path folder = test::make_work_folder();
  write(folder / "groups", "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/\n");
  write(folder / "cgroup/cpu/docker/a/cpu.cfs_quota_us", "400000\n");
  write(folder / "cgroup/cpu/docker/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), 4);
  write(folder / "cgroup/cpu/docker/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), kNoQuota);
}

TEST(GroupQuota, IsNoneWhereNothingCanBeRead) {
  const std::filesystem::path folder = test::make_work_folder();
  EXPECT_EQ(group_quota_processors(folder / "nowhere", folder / "cgroup"), kNoQuota);
  write(folder / "groups", "no colons\n1:cpu\n");
  EXPECT_EQ(group_quota_processors(folder / "groups", folder / "cgroup"), kNoQuota);
}

TEST(CountCores, CountsHyperthreadsOfACoreOnce) {
  const std::filesystem::path folder = test::make_work_folder();
  for (const auto& [cpu, siblings] : {std::pair("cpu0", "0,4"), {"cpu4", "0,4"}, {"cpu1", "1,5"}})
    write(folder / cpu / "topology/thread_siblings_list", std::string(siblings) + "\n");
  EXPECT_EQ(count_cores(std::vector{0, 4, 1}, folder), 2);
  EXPECT_EQ(count_cores(std::vector{0, 1}, folder), 2);
  EXPECT_EQ(count_cores(std::vector{4}, folder), 1);
}

TEST(CountCores, TakesEachProcessorForACoreWhereTheSystemDoesNotSay) {
  EXPECT_EQ(count_cores(std::vector{0, 1, 2}, "/nowhere"), 3);
}

TEST(UsableCores, AreAtLeastOneAndNotMoreThanTheProcessors) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), usable_processors());
}

TEST(UsableProcessors, AreAtLeastOneAndNotMoreThanTheQuota) {
  EXPECT_GE(usable_processors(), 1);
  EXPECT_LE(usable_processors(), quota_processors("/sys/fs/cgroup/cpu.max"));
}

}  // namespace
}  // namespace kvevict
