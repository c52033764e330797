#include "experiments/running_perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

double perplexity_of(const std::vector<double>& values, std::size_t n_last) {
  double sum = 0;
  for (std::size_t i = values.size() - n_last; i < values.size(); ++i) sum += values[i];
  return std::exp(-sum / static_cast<double>(n_last));
}

TEST(RunningPerplexity, EqualsTheMeanOverWindowAndAll) {
  RunningPerplexity running(7);
  EXPECT_EQ(running.of_window(), 0);
  std::vector<double> values;
  for (int i = 0; i < 40; ++i) {
    values.push_back(-0.1 * ((i * 37) % 23));
    running.add(values.back());
    EXPECT_NEAR(running.of_window(), perplexity_of(values, std::min<std::size_t>(7, values.size())), 1e-9)
        << i;
    EXPECT_NEAR(running.of_all(), perplexity_of(values, values.size()), 1e-9) << i;
  }
  EXPECT_EQ(running.n_tokens(), 40);
}

TEST(RunningPerplexity, RefusesAnEmptyWindow) {
  EXPECT_THROW(RunningPerplexity(0), Error);
}

}  // namespace
}  // namespace kvevict::eval
