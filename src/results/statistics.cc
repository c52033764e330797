#include "results/statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
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

/// Values that are drawn from as one. The mean over all strata's values is the mean of the groups' means.
using Stratum = std::vector<double>;

/// A stratum for each group that is large enough, and one for all values of the others. A group of average
/// size keeps its values, so that equal ones stay equal to the last bit.
std::vector<Stratum> strata_of(Groups groups) {
  std::size_t n = 0;
  std::size_t n_filled = 0;
  for (const auto& group : groups) {
    n += group.size();
    n_filled += group.empty() ? 0 : 1;
  }
  std::vector<Stratum> strata;
  Stratum small;
  for (const auto& group : groups) {
    const double weight = static_cast<double>(n) / static_cast<double>(n_filled * group.size());
    Stratum weighted;
    for (const double value : group) weighted.push_back(value * weight);
    if (group.size() >= kFewestDrawnFrom)
      strata.push_back(std::move(weighted));
    else
      small.insert(small.end(), weighted.begin(), weighted.end());
  }
  if (!small.empty()) strata.push_back(std::move(small));
  return strata;
}

Interval bootstrap(const std::vector<Stratum>& strata, const Resampling& resampling) {
  std::size_t n = 0;
  for (const Stratum& stratum : strata) n += stratum.size();
  Draws draws(resampling.seed);
  std::vector<double> means(static_cast<std::size_t>(resampling.n_resamples));
  for (double& mean : means) {
    double sum = 0;
    for (const Stratum& stratum : strata) {
      for (std::size_t i = 0; i < stratum.size(); ++i) sum += stratum[draws.index(stratum.size())];
    }
    mean = sum / static_cast<double>(n);
  }
  return percentiles(std::move(means), resampling.confidence);
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
  const std::vector<double> group(values.begin(), values.end());
  return bootstrap_groups({&group, 1}, resampling).interval;
}

GroupedMean bootstrap_groups(Groups groups, const Resampling& resampling) {
  require_sound(resampling);
  const std::vector<Stratum> strata = strata_of(groups);
  if (strata.empty()) return {};
  std::vector<double> means;
  for (const auto& group : groups) {
    if (!group.empty()) means.push_back(mean_of(group));
  }
  return {mean_of(means), bootstrap(strata, resampling)};
}

PairedComparison compare_pairs(Groups groups, const Resampling& resampling) {
  const GroupedMean difference = bootstrap_groups(groups, resampling);
  PairedComparison comparison{.difference = difference.mean, .interval = difference.interval};
  for (const auto& group : groups) comparison.n_pairs += group.size();
  std::vector<double> parts;  // of the difference; no sign changes those that are 0
  for (const Stratum& stratum : strata_of(groups)) {
    std::copy_if(stratum.begin(), stratum.end(), std::back_inserter(parts),
                 [](double part) { return part != 0; });
  }
  comparison.p_value = parts.empty() ? 1.0 : sign_flip_p_value(parts, resampling);
  comparison.is_exact = parts.size() <= kMostExactPairs;
  return comparison;
}

}  // namespace kvevict::eval
