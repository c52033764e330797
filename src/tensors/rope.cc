#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "kvevict/error.h"
#include "kvevict/rerotate.h"
#include "tensors/refuse.h"

namespace kvevict {
namespace {

void require_positive(const char* field, double value) {
  if (value > 0 && std::isfinite(value)) return;
  refuse(std::string(field) + " of the rotary embedding is " + std::to_string(value) +
         ": a number above 0 is needed");
}

void require_base(double base) {
  if (base > 1 && std::isfinite(base)) return;
  refuse("base of the rotary embedding is " + std::to_string(base) + ": a number above 1 is needed");
}

std::int64_t checked_n_rot(const RopeConfig& rope, std::int64_t head_dim) {
  if (rope.first_dim < 0 || rope.first_dim > head_dim) {
    refuse("first_dim of the rotary embedding is " + std::to_string(rope.first_dim) + ": 0 to " +
           std::to_string(head_dim) + " is needed");
  }
  const std::int64_t room = head_dim - rope.first_dim;
  const std::int64_t n_rot = rope.n_rot == 0 ? room : rope.n_rot;
  if (n_rot < 0 || n_rot > room || n_rot % 2 != 0) {
    refuse("n_rot of the rotary embedding is " + std::to_string(n_rot) + ": an even number up to " +
           std::to_string(room) + " is needed");
  }
  return n_rot;
}

void validate_yarn(const YarnConfig& yarn) {
  if (yarn.n_ctx_orig < 0)
    refuse("n_ctx_orig of YaRN is " + std::to_string(yarn.n_ctx_orig) + ": 0 or more is needed");
  if (!(yarn.ext_factor >= 0 && yarn.ext_factor <= 1)) {
    refuse("ext_factor of YaRN is " + std::to_string(yarn.ext_factor) + ": 0 to 1 is needed");
  }
  require_positive("attn_factor", yarn.attn_factor);
  require_positive("beta_fast", yarn.beta_fast);
  require_positive("beta_slow", yarn.beta_slow);
}

/// The pair, as a real number, that rotates `n_rotations` times within the original context.
double pair_with_rotations(const RopeConfig& rope, std::int64_t n_rot, double n_rotations) {
  const auto n_ctx = static_cast<double>(rope.yarn.n_ctx_orig);
  return static_cast<double>(n_rot) * std::log(n_ctx / (n_rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.base));
}

/// Which part of a pair's frequency stays as it was trained, 0 … 1.
class YarnMix {
 public:
  YarnMix(const RopeConfig& rope, std::int64_t n_rot)
      : is_on_(rope.yarn.n_ctx_orig > 0), share_(rope.yarn.ext_factor) {
    if (!is_on_) return;
    low_ = std::max(0.0, std::floor(pair_with_rotations(rope, n_rot, rope.yarn.beta_fast)));
    high_ = std::min(static_cast<double>(n_rot - 1),
                     std::ceil(pair_with_rotations(rope, n_rot, rope.yarn.beta_slow)));
  }

  [[nodiscard]] double extrapolated(std::int64_t pair) const {
    if (!is_on_) return 0;
    const double along = (static_cast<double>(pair) - low_) / std::max(0.001, high_ - low_);
    return (1 - std::clamp(along, 0.0, 1.0)) * share_;
  }

 private:
  bool is_on_;
  double share_;
  double low_ = 0, high_ = 0;
};

}  // namespace

std::vector<double> llama3_freq_factors(std::int64_t n_rot, double base, double factor,
                                        double low_freq_factor, double high_freq_factor,
                                        std::int64_t n_ctx_orig) {
  if (n_rot < 0 || n_rot % 2 != 0) refuse("n_rot is " + std::to_string(n_rot) + ": an even number is needed");
  require_base(base);
  require_positive("factor", factor);
  require_positive("low_freq_factor", low_freq_factor);
  require_positive("n_ctx_orig", static_cast<double>(n_ctx_orig));
  if (!(high_freq_factor > low_freq_factor)) refuse("high_freq_factor must be above low_freq_factor");
  std::vector<double> factors;
  factors.reserve(static_cast<std::size_t>(n_rot / 2));
  for (std::int64_t pair = 0; pair < n_rot / 2; ++pair) {
    const double frequency = std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(n_rot));
    const double n_waves = static_cast<double>(n_ctx_orig) * frequency / (2 * std::numbers::pi);
    const double smooth =
        std::clamp((n_waves - low_freq_factor) / (high_freq_factor - low_freq_factor), 0.0, 1.0);
    factors.push_back(1 / ((1 - smooth) / factor + smooth));
  }
  return factors;
}

std::vector<double> rope_frequencies(const RopeConfig& rope, std::int64_t head_dim) {
  const std::int64_t n_rot = checked_n_rot(rope, head_dim);
  require_base(rope.base);
  require_positive("freq_scale", rope.freq_scale);
  for (const double factor : rope.freq_factors) require_positive("a freq_factor", factor);
  validate_yarn(rope.yarn);
  const auto n_pairs = static_cast<std::size_t>(n_rot / 2);
  if (!rope.freq_factors.empty() && rope.freq_factors.size() != n_pairs) {
    refuse("there are " + std::to_string(rope.freq_factors.size()) + " freq_factors for " +
           std::to_string(n_pairs) + " pairs of the rotary embedding");
  }
  const YarnMix mix(rope, n_rot);
  std::vector<double> frequencies(n_pairs);
  for (std::size_t pair = 0; pair < n_pairs; ++pair) {
    const double exponent = -2.0 * static_cast<double>(pair) / static_cast<double>(n_rot);
    const double trained =
        std::pow(rope.base, exponent) / (rope.freq_factors.empty() ? 1 : rope.freq_factors[pair]);
    const double kept = mix.extrapolated(static_cast<std::int64_t>(pair));
    frequencies[pair] = trained * (rope.freq_scale * (1 - kept) + kept);
  }
  return frequencies;
}

double rope_magnitude(const RopeConfig& rope) {
  if (rope.yarn.n_ctx_orig == 0) return 1;
  const double by_scale = rope.yarn.ext_factor == 0 ? 1 : 1 + 0.1 * std::log(1 / rope.freq_scale);
  return rope.yarn.attn_factor * by_scale;
}

}  // namespace kvevict
