#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvevict::eval {

/// [low, high].
struct Interval {
  double low = 0;
  double high = 0;
};

/// How resampling is done. The same numbers give the same result on every machine.
struct Resampling {
  double confidence = 0.95;  ///< Of intervals; 0 < confidence < 1.
  int n_resamples = 10000;   ///< Of the bootstrap, and of the paired test if it cannot try all signs; >= 1.
  std::uint64_t seed = 1;
};

/// The arithmetic mean; 0 without values.
[[nodiscard]] double mean_of(std::span<const double> values) noexcept;

/// Percentile bootstrap interval of the mean (Efron 1979). {0, 0} without values; with one value, or
/// equal ones, the interval is that value. Errors: kInvalidArgument for options out of their range.
/// O(n_resamples x values).
[[nodiscard]] Interval bootstrap_mean(std::span<const double> values, const Resampling& resampling = {});

/// A mean over groups, and how sure it is.
struct GroupedMean {
  double mean = 0;    ///< The mean over the groups of each group's mean: every group weighs the same.
  Interval interval;  ///< Percentile bootstrap of it.
};

/// Groups (data sets) of fewer values are drawn from together: two values that are drawn from alone show half
/// of their spread, and one shows none.
inline constexpr std::size_t kFewestDrawnFrom = 8;

/// `groups[g]` holds the values of group g; empty groups do not count. Values are drawn within their group,
/// those of groups of fewer than kFewestDrawnFrom values from all such groups at once, each with the weight
/// that it has in the mean. {0, {0, 0}} without values. Errors and complexity: as bootstrap_mean.
[[nodiscard]] GroupedMean bootstrap_groups(std::span<const std::vector<double>> groups,
                                           const Resampling& resampling = {});

/// Paired differences, summed up over groups (data sets): every group weighs the same, as in LongBench's
/// average over data sets.
struct PairedComparison {
  std::size_t n_pairs = 0;
  double difference = 0;  ///< The mean over the groups of each group's mean difference.
  Interval interval;      ///< As bootstrap_groups.
  double p_value = 1;     ///< Two-sided sign-flip permutation test (Fisher 1935) of "the difference is 0".
  bool is_exact =
      true;  ///< Whether the test tried all signs (at most 16 pairs that differ) or drew n_resamples.
};

/// `groups[g]` holds the differences (b - a) of the pairs of group g; empty groups do not count.
/// Errors: kInvalidArgument for options out of their range.
[[nodiscard]] PairedComparison compare_pairs(std::span<const std::vector<double>> groups,
                                             const Resampling& resampling = {});

}  // namespace kvevict::eval
