#include "engine/log_probability.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "engine/token_piece.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// What turns logits into logarithms of probabilities, of one row.
struct Scale {
  float highest;
  double log_sum;  // of all exp(logit - highest)

  [[nodiscard]] double log_probability(float logit) const {
    return static_cast<double>(logit - highest) - log_sum;
  }
};

Scale scale_of(std::span<const float> logits) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += static_cast<double>(std::exp(logit - highest));
  return {highest, std::log(sum)};
}

/// The `n` tokens with the highest logits, best first; equal ones in the order of their numbers.
std::vector<Token> best_tokens(std::span<const float> logits, int n) {
  std::vector<Token> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  std::partial_sort(tokens.begin(), tokens.begin() + n, tokens.end(), [&](Token a, Token b) {
    const float left = logits[static_cast<std::size_t>(a)], right = logits[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  });
  tokens.resize(static_cast<std::size_t>(n));
  return tokens;
}

}  // namespace

double log_probability(std::span<const float> logits, Token token) {
  return scale_of(logits).log_probability(logits[static_cast<std::size_t>(token)]);
}

DrawnToken token_probabilities(const Model& model, std::span<const float> logits, Token token, int n_best) {
  if (n_best < 0 || n_best > std::ssize(logits))
    throw Error(ErrorCode::kInvalidArgument,
                "n_best is " + std::to_string(n_best) + ": a number of tokens from 0 to " +
                    std::to_string(logits.size()) + " is needed",
                "n_best");
  const Scale scale = scale_of(logits);
  const auto probability_of = [&](Token one) {
    return TokenProbability{.token = one,
                            .log_probability = scale.log_probability(logits[static_cast<std::size_t>(one)]),
                            .bytes = token_piece(model, one, true)};
  };
  DrawnToken result{.drawn = probability_of(token)};
  for (const Token one : best_tokens(logits, n_best)) result.best.push_back(probability_of(one));
  return result;
}

}  // namespace kvevict
