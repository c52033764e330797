#include "policy/key_scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "kvevict/error.h"

namespace kvevict {
namespace {

// Sums of several lanes: a compiler may not reorder the additions of one, and would add one number at a time.
constexpr std::size_t kLanes = 8;
using Lanes = std::array<float, kLanes>;

float total(const Lanes& lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

float dot(const float* x, const float* y, std::size_t n) {
  Lanes lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * y[i + j];
  }
  for (; i < n; ++i) lanes[i % kLanes] += x[i] * y[i];
  return total(lanes);
}

/// 1 / |k|; 0 for a key that has no direction.
float inverse_length(const float* key, std::size_t n) {
  const float inverse = 1 / std::sqrt(dot(key, key, n));
  return std::isfinite(inverse) ? inverse : 0.0F;
}

void require_dense(const LayerKeys& keys, std::size_t n_rows) {
  const bool is_dense = keys.n_heads > 0 && keys.head_dim > 0 &&
                        keys.rows.size() == n_rows * static_cast<std::size_t>(keys.n_heads * keys.head_dim);
  if (is_dense) return;
  throw Error(ErrorCode::kInvalidArgument, "a layer of " + std::to_string(n_rows) +
                                               " rows was given keys of " + std::to_string(keys.rows.size()) +
                                               " elements: rows x " + std::to_string(keys.n_heads) +
                                               " heads x " + std::to_string(keys.head_dim) + " are needed");
}

}  // namespace

void add_key_differences(const LayerKeys& keys, std::span<double> sums) {
  require_dense(keys, sums.size());
  const auto n_heads = static_cast<std::size_t>(keys.n_heads);
  const auto dim = static_cast<std::size_t>(keys.head_dim);
  const std::size_t width = n_heads * dim;
  // The sum of the directions points where their mean does, and its length falls out of the cosine. In f32 by
  // blocks of rows: the sum of very many would lose its last ones.
  constexpr std::size_t kBlockRows = 512;
  std::vector<float> block(width);
  std::vector<double> anchor(width);
  std::vector<float> inverse(sums.size() * n_heads);
  for (std::size_t from = 0; from < sums.size(); from += kBlockRows) {
    std::fill(block.begin(), block.end(), 0.0F);
    for (std::size_t r = from; r < std::min(sums.size(), from + kBlockRows); ++r) {
      for (std::size_t h = 0; h < n_heads; ++h) {
        const float* const key = keys.rows.data() + r * width + h * dim;
        const float scale = inverse_length(key, dim);
        inverse[r * n_heads + h] = scale;
        if (scale == 0) continue;
        float* const to = block.data() + h * dim;
        for (std::size_t d = 0; d < dim; ++d) to[d] += key[d] * scale;
      }
    }
    for (std::size_t i = 0; i < width; ++i) anchor[i] += static_cast<double>(block[i]);
  }
  for (std::size_t h = 0; h < n_heads; ++h) {
    double square = 0;
    for (std::size_t d = 0; d < dim; ++d) square += anchor[h * dim + d] * anchor[h * dim + d];
    const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
    for (std::size_t d = 0; d < dim; ++d)
      block[h * dim + d] = static_cast<float>(anchor[h * dim + d] * scale);
  }
  for (std::size_t r = 0; r < sums.size(); ++r) {
    for (std::size_t h = 0; h < n_heads; ++h) {
      const float scale = inverse[r * n_heads + h];
      if (scale == 0) continue;
      const float* const key = keys.rows.data() + r * width + h * dim;
      sums[r] -= static_cast<double>(dot(key, block.data() + h * dim, dim) * scale);
    }
  }
}

std::vector<float> key_differences(const LayerKeys& keys) {
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(1, keys.n_heads * keys.head_dim));
  std::vector<double> sums(keys.rows.size() / width);
  add_key_differences(keys, sums);
  std::vector<float> means;
  means.reserve(sums.size());
  for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(keys.n_heads)));
  return means;
}

std::vector<float> key_differences_of_all(CachedKeys& keys) {
  std::vector<double> sums(static_cast<std::size_t>(keys.held().layer(0).count()));
  double n_heads = 0;
  for (std::size_t l = 0; l < keys.n_layers(); ++l) {
    const LayerKeys layer = keys.layer(l);
    add_key_differences(layer, sums);
    n_heads += static_cast<double>(layer.n_heads);
  }
  std::vector<float> means;
  means.reserve(sums.size());
  for (const double sum : sums) means.push_back(static_cast<float>(n_heads > 0 ? sum / n_heads : 0));
  return means;
}

}  // namespace kvevict
