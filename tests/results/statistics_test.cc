#include "results/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

TEST(BootstrapMean, HoldsTheMeanAndNarrowsWithMoreValues) {
  std::vector<double> few, many;
  for (int i = 0; i < 400; ++i) (i < 20 ? few : many).push_back(std::fmod(i * 0.6180339887, 1.0));
  for (const auto& values : {few, many}) {
    const Interval interval = bootstrap_mean(values);
    EXPECT_LT(interval.low, mean_of(values));
    EXPECT_GT(interval.high, mean_of(values));
  }
  const Interval wide = bootstrap_mean(few);
  const Interval narrow = bootstrap_mean(many);
  EXPECT_LT(2 * (narrow.high - narrow.low), wide.high - wide.low);
  // Uniform values: the mean's standard error is 0.2887 / sqrt(n), 95 % of means lie within 1.96 of them.
  EXPECT_NEAR(narrow.high - narrow.low, 2 * 1.96 * 0.2887 / std::sqrt(380.0), 0.006);
}

TEST(BootstrapMean, IsTheValueWhereAllAreEqual) {
  const std::vector<double> equal(7, 0.25);
  EXPECT_EQ(bootstrap_mean(equal).low, 0.25);
  EXPECT_EQ(bootstrap_mean(equal).high, 0.25);
  EXPECT_EQ(bootstrap_mean({}).high, 0.0);
}

TEST(BootstrapMean, RefusesImpossibleOptions) {
  EXPECT_THROW(static_cast<void>(bootstrap_mean({}, {.confidence = 1.0})), Error);
  EXPECT_THROW(static_cast<void>(bootstrap_mean({}, {.n_resamples = 0})), Error);
}

// Six data sets with two questions each: what 10,000 draws of 2 from 2 show is half of the spread.
TEST(BootstrapGroups, SmallGroupsAreDrawnFromTogether) {
  const std::vector<std::vector<double>> groups = {{0, -40}, {10, -10}, {0, 0}, {-30, 0}, {5, -5}, {0, -4}};
  std::vector<double> together;
  for (const auto& group : groups) together.insert(together.end(), group.begin(), group.end());
  const GroupedMean mean = bootstrap_groups(groups);
  EXPECT_DOUBLE_EQ(mean.mean, mean_of(together));
  EXPECT_DOUBLE_EQ(mean.interval.low, bootstrap_mean(together).low);
  EXPECT_DOUBLE_EQ(mean.interval.high, bootstrap_mean(together).high);
  EXPECT_EQ(compare_pairs(groups).interval.low, mean.interval.low);
}

TEST(BootstrapGroups, GroupsOfOneShowTheirSpread) {
  const std::vector<std::vector<double>> groups = {{-20}, {0}, {0}, {10}};
  EXPECT_DOUBLE_EQ(bootstrap_groups(groups).interval.low, -15);
  EXPECT_DOUBLE_EQ(bootstrap_groups(groups).interval.high, 7.5);
}

TEST(BootstrapGroups, LargeGroupsAreDrawnFromAlone) {
  const std::vector<std::vector<double>> groups = {std::vector<double>(kFewestDrawnFrom, 0.0),
                                                   std::vector<double>(kFewestDrawnFrom, 1.0)};
  EXPECT_EQ(bootstrap_groups(groups).interval.low, 0.5);
  EXPECT_EQ(bootstrap_groups(groups).interval.high, 0.5);
}

TEST(ComparePairs, ExactTestCountsTheSignPatterns) {
  // All 5 differences positive: of 32 patterns only "all plus" and "all minus" are as far from 0.
  const std::vector<std::vector<double>> groups = {{1, 2, 3, 4, 5}};
  const PairedComparison comparison = compare_pairs(groups);
  EXPECT_TRUE(comparison.is_exact);
  EXPECT_DOUBLE_EQ(comparison.p_value, 2.0 / 32);
  EXPECT_DOUBLE_EQ(comparison.difference, 3.0);
  EXPECT_EQ(comparison.n_pairs, 5U);
  EXPECT_GT(comparison.interval.low, 1.0);
}

TEST(ComparePairs, PairsWithoutADifferenceDoNotMakeItSurer) {
  const std::vector<std::vector<double>> groups = {{1, 1, 1, 0, 0, 0, 0, 0}};
  EXPECT_DOUBLE_EQ(compare_pairs(groups).p_value, 2.0 / 8);
  const std::vector<std::vector<double>> none = {{0, 0, 0}, {}};
  EXPECT_DOUBLE_EQ(compare_pairs(none).p_value, 1.0);
  EXPECT_DOUBLE_EQ(compare_pairs({}).p_value, 1.0);
}

TEST(ComparePairs, GroupsWeighTheSame) {
  const std::vector<std::vector<double>> groups = {{0.5}, {0.1, 0.1, 0.1, 0.1}, {}};
  EXPECT_DOUBLE_EQ(compare_pairs(groups).difference, 0.3);
}

TEST(ComparePairs, DrawnTestAgreesWithTheNormalApproximation) {
  std::vector<double> differences;
  for (int i = 0; i < 200; ++i) differences.push_back(std::fmod(i * 0.6180339887, 1.0) - 0.46);
  const std::vector<std::vector<double>> groups = {differences};
  const PairedComparison comparison = compare_pairs(groups);
  EXPECT_FALSE(comparison.is_exact);
  double squares = 0;
  for (const double d : differences) squares += d * d;
  const double z = mean_of(differences) * 200 / std::sqrt(squares);
  EXPECT_NEAR(comparison.p_value, std::erfc(z / std::sqrt(2.0)), 0.01);
  EXPECT_EQ(comparison.p_value, compare_pairs(groups).p_value) << "the same seed gives the same value";
}

}  // namespace
}  // namespace kvevict::eval
