#include "archs/difference.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace kvevict::test {

double relative_difference(std::span<const float> ours, std::span<const float> theirs) {
  double most = 0;
  double largest = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double difference = std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i]));
    if (!std::isfinite(difference)) return difference;
    most = std::max(most, difference);
    largest = std::max(largest, std::abs(static_cast<double>(theirs[i])));
  }
  return largest > 0 ? most / largest : most;
}

void LargestDifference::compare(std::span<const float> ours, std::span<const float> theirs,
                                const char* when) {
  if (ours.size() != theirs.size()) {
    throw WrongResult(std::string(when) + ": " + std::to_string(ours.size()) + " logits, llama.cpp has " +
                      std::to_string(theirs.size()));
  }
  const double difference = relative_difference(ours, theirs);
  if (!std::isfinite(difference)) throw WrongResult(std::string(when) + ": logits that are not finite");
  value_ = std::max(value_, difference);
  if (difference > most_) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1e", difference);
    throw WrongResult(std::string(when) + ": the logits differ from llama.cpp's own by " + text +
                      " of the largest");
  }
}

}  // namespace kvevict::test
