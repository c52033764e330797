#pragma once

#include <cstdint>
#include <vector>

namespace kvevict::eval {

/// Perplexity of a stream: exp of the mean negative log-probability, of its last `window` tokens and
/// of all. Memory: the window's.
class RunningPerplexity {
 public:
  /// `window` >= 1 tokens. Errors: kInvalidArgument.
  explicit RunningPerplexity(std::int64_t window);

  /// The natural logarithm of the next token's probability.
  void add(double log_probability);

  /// Of the last min(window, n) tokens; 0 before the first.
  [[nodiscard]] double of_window() const;
  [[nodiscard]] double of_all() const;
  [[nodiscard]] std::int64_t n_tokens() const noexcept { return n_tokens_; }

 private:
  std::vector<double> window_;  // a ring
  std::int64_t n_tokens_ = 0;
  double sum_of_all_ = 0;
};

}  // namespace kvevict::eval
