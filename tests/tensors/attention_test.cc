// Moved, then attended: attention over the evicted tensors equals attention over the original ones
// with the evicted tokens masked, for keys that keep their positions and for keys turned anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kvevict/dynamic_cache.h"
#include "kvevict/rerotate.h"
#include "tensors/element_convert.h"

namespace kvevict {
namespace {

constexpr std::int64_t kHeads = 2, kDim = 32, kTokens = 96;

using Matrix = std::vector<std::vector<double>>;  // [token][dim]

Matrix random_matrix(std::int64_t n, std::mt19937& random) {
  Matrix rows(static_cast<std::size_t>(n), std::vector<double>(kDim));
  for (auto& row : rows) {
    for (double& x : row) x = static_cast<double>(random() % 4001) / 1000.0 - 2.0;
  }
  return rows;
}

/// A vector rotated for a position, by the definition.
std::vector<double> at_position(std::vector<double> x, double position, const RopeConfig& rope) {
  const auto frequencies = rope_frequencies(rope, kDim);
  const std::size_t n = frequencies.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t a = rope.pairing == RopePairing::kNeox ? i : 2 * i;
    const std::size_t b = rope.pairing == RopePairing::kNeox ? i + n : 2 * i + 1;
    const double angle = position * frequencies[i], scale = rope_magnitude(rope), xa = x[a], xb = x[b];
    x[a] = scale * (xa * std::cos(angle) - xb * std::sin(angle));
    x[b] = scale * (xa * std::sin(angle) + xb * std::cos(angle));
  }
  return x;
}

/// softmax(q·k / √d) v over the tokens that are not masked.
std::vector<double> attend(const std::vector<double>& q, const Matrix& k, const Matrix& v,
                           const std::vector<bool>& masked) {
  std::vector<double> scores(k.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t t = 0; t < k.size(); ++t) {
    if (masked[t]) continue;
    scores[t] = 0;
    for (std::size_t d = 0; d < q.size(); ++d) scores[t] += q[d] * k[t][d] / std::sqrt(double{kDim});
  }
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  std::vector<double> out(q.size(), 0);
  for (std::size_t t = 0; t < k.size(); ++t) sum += std::exp(scores[t] - most);
  for (std::size_t t = 0; t < k.size(); ++t) {
    for (std::size_t d = 0; d < q.size(); ++d) out[d] += std::exp(scores[t] - most) / sum * v[t][d];
  }
  return out;
}

void put(const KvView& view, std::int64_t head, std::int64_t row, const std::vector<double>& values) {
  for (std::int64_t d = 0; d < kDim; ++d) {
    const auto value = static_cast<float>(values[static_cast<std::size_t>(d)]);
    write_floats(view.type(), &value, 1, view.row(0, head, row) + d * element_bytes(view.type()), 1);
  }
}

Matrix get(const KvView& view, std::int64_t head) {
  Matrix rows;
  for (std::int64_t t = 0; t < view.shape().seq; ++t) {
    std::vector<float> values(kDim);
    read_floats(view.type(), view.row(0, head, t), 1, kDim, values.data());
    rows.emplace_back(values.begin(), values.end());
  }
  return rows;
}

struct Stream {
  explicit Stream(std::mt19937& random)
      : k{random_matrix(kTokens, random), random_matrix(kTokens, random)},
        v{random_matrix(kTokens, random), random_matrix(kTokens, random)},
        q(random_matrix(1, random).front()) {}
  Matrix k[kHeads], v[kHeads];  // unrotated keys of every token
  std::vector<double> q;
};

/// A cache that has taken in [0, n) tokens of the stream with keys rotated for their positions.
void append_rotated(DynamicCache& cache, const Stream& stream, std::int64_t begin, std::int64_t end,
                    const RopeConfig& rope) {
  KvBuffer k(ElementType::kF32, {1, kHeads, end - begin, kDim}),
      v(ElementType::kF32, {1, kHeads, end - begin, kDim});
  const std::int64_t first = cache.next_rope_pos(0);
  for (std::int64_t h = 0; h < kHeads; ++h) {
    for (std::int64_t t = begin; t < end; ++t) {
      put(k.view(), h, t - begin,
          at_position(stream.k[h][static_cast<std::size_t>(t)], static_cast<double>(first + t - begin),
                      rope));
      put(v.view(), h, t - begin, stream.v[h][static_cast<std::size_t>(t)]);
    }
  }
  cache.append(0, k.view(), v.view());
}

/// Attention over the whole stream with everything masked that is not in `held`; the kept tokens
/// and the query are rotated for the positions given.
std::vector<double> masked_attention(const Stream& stream, std::int64_t head, const KeepSet& held,
                                     const std::vector<std::int64_t>& positions, std::int64_t q_position,
                                     const RopeConfig& rope) {
  std::vector<bool> masked(kTokens, true);
  Matrix k = stream.k[head];
  const auto tokens = held.to_indices();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    masked[static_cast<std::size_t>(tokens[i])] = false;
    k[static_cast<std::size_t>(tokens[i])] =
        at_position(k[static_cast<std::size_t>(tokens[i])], static_cast<double>(positions[i]), rope);
  }
  return attend(at_position(stream.q, static_cast<double>(q_position), rope), k, stream.v[head], masked);
}

void expect_attention_equal(const DynamicCache& cache, const Stream& stream,
                            const std::vector<std::int64_t>& positions, std::int64_t q_position,
                            const RopeConfig& rope, const char* what) {
  for (std::int64_t h = 0; h < kHeads; ++h) {
    const auto expected = masked_attention(stream, h, cache.abs_pos(0), positions, q_position, rope);
    const auto q = at_position(stream.q, static_cast<double>(cache.next_rope_pos(0)), rope);
    const auto actual = attend(q, get(cache.k(0), h), get(cache.v(0), h),
                               std::vector<bool>(static_cast<std::size_t>(cache.n_rows(0)), false));
    // scores are sums of 32 products up to 2·2·1.3 and keys are f32: an error of 32·5·6e-8 at most
    for (std::size_t d = 0; d < actual.size(); ++d)
      ASSERT_NEAR(actual[d], expected[d], 2e-5) << what << " head " << h;
  }
}

std::vector<RopeConfig> ropes() {
  std::vector<RopeConfig> all(3);
  all[1].pairing = RopePairing::kNorm;
  all[1].freq_factors = llama3_freq_factors(kDim, 10000, 8, 1, 4, 64);
  all[2].freq_scale = 0.25;
  all[2].yarn.n_ctx_orig = 64;
  return all;
}

std::vector<std::int64_t> first_numbers(std::int64_t n) {
  return KeepSet::all(n).to_indices();
}

TEST(MovedThenAttendedTest, AbsoluteKeys) {
  std::mt19937 random(41);
  for (const RopeConfig& rope : ropes()) {
    const Stream stream(random);
    DynamicCache cache;
    cache.add_layer(KvBuffer(ElementType::kF32, {1, kHeads, 8, kDim}),
                    KvBuffer(ElementType::kF32, {1, kHeads, 8, kDim}));
    append_rotated(cache, stream, 0, 64, rope);
    evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 4}, {20, 28}, {50, 64}}));
    expect_attention_equal(cache, stream, cache.abs_pos(0).to_indices(), 64, rope, "once");
    append_rotated(cache, stream, 64, kTokens, rope);
    evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 6}, {20, 58}}));
    expect_attention_equal(cache, stream, cache.abs_pos(0).to_indices(), kTokens, rope, "twice");
  }
}

TEST(MovedThenAttendedTest, RerotatedKeysThroughSeveralPacks) {
  std::mt19937 random(42);
  for (const RopeConfig& rope : ropes()) {
    const Stream stream(random);
    DynamicCache cache;
    cache.add_layer(KvBuffer(ElementType::kF32, {1, kHeads, 8, kDim}),
                    KvBuffer(ElementType::kF32, {1, kHeads, 8, kDim}));
    append_rotated(cache, stream, 0, 40, rope);
    for (std::int64_t seen = 40; seen < kTokens; seen += 8) {
      evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 4}, {9, cache.n_rows(0)}}));
      rerotate(cache, rope);
      expect_attention_equal(cache, stream, first_numbers(cache.n_rows(0)), cache.n_rows(0), rope, "packed");
      append_rotated(cache, stream, seen, seen + 8, rope);
      expect_attention_equal(cache, stream, first_numbers(cache.n_rows(0)), cache.n_rows(0), rope,
                             "appended");
    }
  }
}

TEST(MovedThenAttendedTest, UnrotatedKeysTurnedOnTheFlyByTheirPositions) {
  std::mt19937 random(43);
  for (const RopeConfig& rope : ropes()) {
    const Stream stream(random);
    DynamicCache cache;
    cache.add_layer(KvBuffer(ElementType::kF32, {1, kHeads, kTokens, kDim}),
                    KvBuffer(ElementType::kF32, {1, kHeads, kTokens, kDim}), kTokens);
    for (std::int64_t h = 0; h < kHeads; ++h) {
      for (std::int64_t t = 0; t < kTokens; ++t) {
        put(cache.k(0), h, t, stream.k[h][static_cast<std::size_t>(t)]);
        put(cache.v(0), h, t, stream.v[h][static_cast<std::size_t>(t)]);
      }
    }
    evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 4}, {33, 41}, {70, 96}}));
    const KvBuffer rotated(ElementType::kF32, {1, kHeads, cache.n_rows(0), kDim});
    rotate_keys_into(rotated.view(), cache.k(0), cache.abs_pos(0), rope);
    for (std::int64_t h = 0; h < kHeads; ++h) {
      const auto expected =
          masked_attention(stream, h, cache.abs_pos(0), cache.abs_pos(0).to_indices(), kTokens, rope);
      const auto actual = attend(at_position(stream.q, kTokens, rope), get(rotated.view(), h),
                                 get(cache.v(0), h), std::vector<bool>(38, false));
      for (std::size_t d = 0; d < actual.size(); ++d) ASSERT_NEAR(actual[d], expected[d], 2e-5);
    }
  }
}

}  // namespace
}  // namespace kvevict
