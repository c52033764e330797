#include "base/processor_load.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "base/processors.h"
#include "support/work_folder.h"

namespace kvevict {
namespace {

using std::chrono::seconds;

// two processors; user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second
constexpr const char* kStat =
    "cpu  900 60 90 5000 30 6 12 15 0 0\n"
    "cpu0 500 40 50 2000 10 2 4 5 0 0\n"
    "cpu1 400 20 40 3000 20 4 8 10 0 0\n"
    "cpu10 7000 0 0 0 0 0 0 0 0 0\n"
    "intr 1 2 3\n"
    "procs_running 4\n";

ProcessorTimes times(int at, double all, double own) {
  return {.at = std::chrono::steady_clock::time_point(seconds(at)), .all = all, .own = own};
}

TEST(BusySeconds, CountWorkAndWhatAHostTookAndNeitherIdleNorWaiting) {
  const std::vector<int> both = {0, 1};
  EXPECT_DOUBLE_EQ(*busy_seconds(kStat, both, true),
                   (500 + 40 + 50 + 2 + 4 + 5 + 400 + 20 + 40 + 4 + 8 + 10) / 100.0);
}

TEST(BusySeconds, LeaveOutNicedProgramsWhichGetOnlyWhatIsLeftOver) {
  const std::vector<int> both = {0, 1};
  EXPECT_DOUBLE_EQ(*busy_seconds(kStat, both, true) - *busy_seconds(kStat, both, false), 0.6);
}

TEST(BusySeconds, AreOfTheProcessorsAsked) {
  const std::vector<int> second = {1};
  EXPECT_DOUBLE_EQ(*busy_seconds(kStat, second, false), 4.62);
}

TEST(BusySeconds, AreNotKnownWhereTheTextNamesNoneOfThem) {
  const std::vector<int> third = {2};
  EXPECT_FALSE(busy_seconds(kStat, third, false));
  EXPECT_FALSE(busy_seconds("", third, false));
  EXPECT_FALSE(busy_seconds("cpu  1 2 3\n", third, false));
}

TEST(FreeProcessors, AreThoseThatOthersDoNotUse) {
  EXPECT_DOUBLE_EQ(free_processors_between(times(0, 10, 4), times(2, 14, 8), 2), 2);  // all of it was ours
  EXPECT_DOUBLE_EQ(free_processors_between(times(0, 10, 4), times(2, 14, 6), 2), 1);  // half of it was
  EXPECT_DOUBLE_EQ(free_processors_between(times(0, 10, 4), times(2, 12, 4), 2), 1);  // we slept
  EXPECT_DOUBLE_EQ(free_processors_between(times(0, 10, 4), times(4, 13, 4), 16), 15.25);
}

TEST(FreeProcessors, StayWithinWhatThereIs) {
  EXPECT_DOUBLE_EQ(free_processors_between(times(0, 10, 4), times(1, 10.5, 5), 2), 2);  // coarse clocks
  EXPECT_DOUBLE_EQ(free_processors_between(times(0, 10, 4), times(1, 13, 4), 2), 0);
  EXPECT_DOUBLE_EQ(free_processors_between(times(3, 10, 4), times(3, 13, 4), 2), 2);  // no time passed
}

TEST(ProcessorLoad, KnowsNothingWithoutTheSystemsFigures) {
  ProcessorLoad load("/nowhere/stat");
  EXPECT_FALSE(load.free_processors());
}

TEST(ProcessorLoad, MeasuresWhatAnotherProgramTakes) {
  const std::string file = test::make_work_folder() + "/stat";
  const std::vector<int> allowed = allowed_processors();
  const auto write = [&](long ticks) {
    std::ofstream out(file);
    for (const int number : allowed) out << "cpu" << number << " " << ticks << " 0 0 0 0 0 0 0\n";
  };
  write(1000);
  ProcessorLoad load(file);
  EXPECT_FALSE(load.free_processors()) << "too early to say";
  write(1'000'000);  // every processor was busy for hours with something else
  const auto begin = std::chrono::steady_clock::now();
  std::optional<double> free;
  while (!free && std::chrono::steady_clock::now() - begin < seconds(60)) free = load.free_processors();
  ASSERT_TRUE(free);
  EXPECT_EQ(*free, 0);
}

}  // namespace
}  // namespace kvevict
