#include "engine/log_probability.h"

#include <algorithm>
#include <cmath>

namespace kvevict {

double log_probability(std::span<const float> logits, Token token) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += static_cast<double>(std::exp(logit - highest));
  return static_cast<double>(logits[static_cast<std::size_t>(token)] - highest) - std::log(sum);
}

}  // namespace kvevict
