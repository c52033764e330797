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

TEST(UsableProcessors, AreAtLeastOneAndNotMoreThanTheQuota) {
  EXPECT_GE(usable_processors(), 1);
  EXPECT_LE(usable_processors(), quota_processors("/sys/fs/cgroup/cpu.max"));
}

}  // namespace
}  // namespace kvevict
