#pragma once

#include <cstdint>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// How the next token is drawn; the defaults are greedy. llama.cpp's samplers do the work.
struct SamplingOptions {
  double temperature = 0.0;  ///< 0: greedy, and only the last two below are used; >= 0.
  int top_k = 40;            ///< Best tokens considered; 0: all.
  double top_p = 0.95;       ///< Share of probability considered; 0 < p <= 1.
  double min_p = 0.05;       ///< Least probability, relative to the best token's; 0 <= p <= 1.
  std::uint32_t seed = 1;
  double repeat_penalty = 1.0;  ///< Above 1: the last 64 tokens are less likely to come again; > 0.
  bool ignores_end = false;     ///< Never draws a token that ends a generation.
};

}  // namespace kvevict
