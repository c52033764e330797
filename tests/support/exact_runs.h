#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "kvevict/session.h"

namespace kvevict::test {

/// Tokens for a tiny random model of 128 tokens or more.
inline std::vector<Token> made_up_tokens(int n) {
  std::vector<Token> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * 37 + i / 7) % 128);
  return tokens;
}

/// Options under which the same sums come out, to the last bits: f32, no flash attention.
inline SessionOptions exact(std::optional<PositionMode> positions = std::nullopt) {
  SessionOptions options;
  options.flash_attention = FlashAttention::kOff;
  options.type_k = options.type_v = KvType::kF32;
  options.n_chunk = 64;
  options.positions = positions;
  return options;
}

inline double most_different(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  EXPECT_FALSE(a.empty());
  double most = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

}  // namespace kvevict::test
