#include "experiments/running_perplexity.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "kvevict/error.h"

namespace kvevict::eval {

RunningPerplexity::RunningPerplexity(std::int64_t window) {
  constexpr std::int64_t kMost = 1'000'000;
  if (window < 1 || window > kMost) {
    throw Error(ErrorCode::kInvalidArgument, "the window of the perplexity is " + std::to_string(window) +
                                                 " tokens: from 1 to " + std::to_string(kMost) +
                                                 " are needed");
  }
  window_.resize(static_cast<std::size_t>(window));
}

void RunningPerplexity::add(double log_probability) {
  window_[static_cast<std::size_t>(n_tokens_) % window_.size()] = log_probability;
  sum_of_all_ += log_probability;
  ++n_tokens_;
}

double RunningPerplexity::of_window() const {
  const std::int64_t n = std::min(n_tokens_, static_cast<std::int64_t>(window_.size()));
  if (n == 0) return 0;
  return std::exp(-std::accumulate(window_.begin(), window_.begin() + n, 0.0) / static_cast<double>(n));
}

double RunningPerplexity::of_all() const {
  return n_tokens_ == 0 ? 0 : std::exp(-sum_of_all_ / static_cast<double>(n_tokens_));
}

}  // namespace kvevict::eval
