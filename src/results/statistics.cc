#include "results/statistics.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

/// Draws that are the same on every machine: the standard library's distributions are not.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : engine_(seed) {}
  /// 0 … n − 1; n below 2^32.
  std::size_t index(std::size_t n) { return static_cast<std::size_t>(((engine_() >> 32U) * n) >> 32U); }
  bool coin() { return (engine_() >> 63U) != 0; }

 private:
  std::mt19937_64 engine_;
};

void require_sound(const Resampling& r) {
  if (r.confidence > 0 && r.confidence < 1 && r.n_resamples >= 1) return;
  throw Error(ErrorCode::kInvalidArgument,
              "a confidence between 0 and 1 and at least 1 resample are needed, not " +
                  std::to_string(r.confidence) + " and " + std::to_string(r.n_resamples));
}

/// The interval that leaves out (1 − confidence) / 2 of `values` at either end.
Interval percentiles(std::vector<double> values, double confidence) {
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  const double tail = (1 - confidence) / 2;
  return {values[static_cast<std::size_t>(std::floor(tail * last))],
          values[static_cast<std::size_t>(std::ceil((1 - tail) * last))]};
}

using Groups = std::span<const std::vector<double>>;

double mean_of_groups(Groups groups) {
  double sum = 0;
  for (const auto& group : groups) sum += mean_of(group);
  return sum / static_cast<double>(groups.size());
}

Interval bootstrap(Groups groups, const Resampling& resampling) {
  Draws draws(resampling.seed);
  std::vector<double> means(static_cast<std::size_t>(resampling.n_resamples));
  for (double& mean : means) {
    double sum_of_means = 0;
    for (const auto& group : groups) {
      double sum = 0;
      for (std::size_t i = 0; i < group.size(); ++i) sum += group[draws.index(group.size())];
      sum_of_means += sum / static_cast<double>(group.size());
    }
    mean = sum_of_means / static_cast<double>(groups.size());
  }
  return percentiles(std::move(means), resampling.confidence);
}

/// Each pair's part of the difference of groups, if it is not 0.
std::vector<double> weighted_differences(Groups groups) {
  std::vector<double> parts;
  for (const auto& group : groups) {
    const double weight = 1.0 / (static_cast<double>(group.size()) * static_cast<double>(groups.size()));
    for (const double difference : group) {
      if (difference != 0) parts.push_back(difference * weight);
    }
  }
  return parts;
}

constexpr std::size_t kMostExactPairs = 16;

/// The share of sign patterns whose sum is at least as far from 0 as the one that was seen.
double sign_flip_p_value(const std::vector<double>& parts, const Resampling& resampling) {
  double seen = 0;
  for (const double part : parts) seen += part;
  const double least = std::abs(seen) * (1 - 1e-12);  // what rounding may take from an equal sum
  const bool is_exact = parts.size() <= kMostExactPairs;
  const std::uint64_t n =
      is_exact ? std::uint64_t{1} << parts.size() : static_cast<std::uint64_t>(resampling.n_resamples);
  Draws draws(resampling.seed + 1);
  std::uint64_t n_as_far = is_exact ? 0 : 1;  // drawn patterns: the one that was seen counts too
  for (std::uint64_t pattern = 0; pattern < n; ++pattern) {
    double sum = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool is_flipped = is_exact ? (pattern >> i & 1U) != 0 : draws.coin();
      sum += is_flipped ? -parts[i] : parts[i];
    }
    if (std::abs(sum) >= least) ++n_as_far;
  }
  return static_cast<double>(n_as_far) / static_cast<double>(is_exact ? n : n + 1);
}

}  // namespace

double mean_of(std::span<const double> values) noexcept {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

Interval bootstrap_mean(std::span<const double> values, const Resampling& resampling) {
  require_sound(resampling);
  if (values.empty()) return {};
  const std::vector<double> group(values.begin(), values.end());
  return bootstrap({&group, 1}, resampling);
}

PairedComparison compare_pairs(std::span<const std::vector<double>> groups, const Resampling& resampling) {
  require_sound(resampling);
  std::vector<std::vector<double>> filled;
  PairedComparison comparison;
  for (const auto& group : groups) {
    if (group.empty()) continue;
    filled.push_back(group);
    comparison.n_pairs += group.size();
  }
  if (filled.empty()) return comparison;
  const std::vector<double> parts = weighted_differences(filled);
  comparison.difference = mean_of_groups(filled);
  comparison.interval = bootstrap(filled, resampling);
  comparison.p_value = parts.empty() ? 1.0 : sign_flip_p_value(parts, resampling);
  comparison.is_exact = parts.size() <= kMostExactPairs;
  return comparison;
}

}  // namespace kvevict::eval
