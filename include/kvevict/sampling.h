#pragma once

#include <cstdint>
#include <vector>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// What is added to the logit of a token of the vocabulary before anything is chosen.
struct LogitBias {
  std::int32_t token = 0;
  double bias = 0.0;  ///< −100 … 100; −100 all but bans it.
  friend bool operator==(const LogitBias&, const LogitBias&) = default;
};

/// How the next token is drawn; the defaults are greedy. llama.cpp's samplers do the work.
struct SamplingOptions {
  double temperature =
      0.0;              ///< 0: greedy, and only the penalties, `ignores_end` and `logit_bias` are used; >= 0.
  int top_k = 40;       ///< Best tokens considered; 0: all.
  double top_p = 0.95;  ///< Share of probability considered; 0 < p <= 1.
  double min_p = 0.05;  ///< Least probability, relative to the best token's; 0 <= p <= 1.
  std::uint32_t seed = 1;
  double repeat_penalty = 1.0;  ///< Above 1: the last 64 tokens are less likely to come again; > 0.
  /// Taken from the logit of each token that is among the last 64, once and once for each time that it is
  /// there; −2 … 2.
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  bool ignores_end = false;  ///< Never draws a token that ends a generation.
  std::vector<LogitBias> logit_bias{};
};

}  // namespace kvevict
