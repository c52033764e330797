// A toy attention loop with tensors of its own, kept within a budget by evicting in place.
//
// The "model" is random; the cache is two plain arrays of this program's. kvevict borrows them, says how
// many rows are left, and turns the keys to packed positions: none ever lies beyond the budget.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <random>
#include <vector>

#include "kvevict/dynamic_cache.h"
#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/rerotate.h"

namespace {

constexpr std::size_t kHeads = 4, kDim = 32, kCapacity = 320;
constexpr std::int64_t kTokens = 4000;
constexpr std::int64_t kSlack = 64;  // rows by which the cache may outgrow the budget between evictions

using Floats = std::vector<float>;

/// The next token's query, key and value, [heads, dim] each.
struct Projection {
  Floats q, k, v;
};

Projection project(std::mt19937& random) {
  std::normal_distribution<float> weight;
  Projection p{Floats(kHeads * kDim), Floats(kHeads * kDim), Floats(kHeads * kDim)};
  for (Floats* x : {&p.q, &p.k, &p.v}) {
    for (float& value : *x) value = weight(random);
  }
  return p;
}

/// What kvevict needs to know of a tensor of ours, [1, heads, n_rows, dim].
kvevict::KvView view(Floats& tensor, std::int64_t n_rows) {
  return {
      tensor.data(), kvevict::ElementType::kF32, {1, kHeads, n_rows, kDim}, kvevict::KvLayout::kHeadsFirst};
}

/// Rotates one token's heads for a position.
void rotate(Floats& x, std::int64_t position, const kvevict::RopeConfig& rope) {
  Floats rotated(x.size());
  rotate_keys_into(view(rotated, 1), view(x, 1), kvevict::KeepSet::from_ranges({{position, position + 1}}),
                   rope, 1);
  x = rotated;
}

/// Writes a token's rows behind those in use: tensors [1, heads, capacity, dim].
void write_row(Floats& tensor, const Floats& row, std::int64_t at) {
  for (std::size_t h = 0; h < kHeads; ++h) {
    std::copy_n(&row[h * kDim], kDim, &tensor[(h * kCapacity + static_cast<std::size_t>(at)) * kDim]);
  }
}

/// softmax(q k / sqrt(dim)) v of one head over the rows in use.
Floats attend(const float* q, const float* k, const float* v, std::int64_t n_rows) {
  Floats out(kDim, 0.0F);
  float sum = 0;
  for (std::int64_t r = 0; r < n_rows; ++r, k += kDim, v += kDim) {
    const float score = std::inner_product(q, q + kDim, k, 0.0F);
    const float weight = std::exp(score / std::sqrt(static_cast<float>(kDim)));
    sum += weight;
    for (std::size_t d = 0; d < kDim; ++d) out[d] += weight * v[d];
  }
  for (float& x : out) x /= sum;
  return out;
}

int run() {
  Floats k(kHeads * kCapacity * kDim), v(kHeads * kCapacity * kDim);
  kvevict::DynamicCache cache;
  cache.add_layer(view(k, kCapacity), view(v, kCapacity), 0);
  const auto policy = kvevict::make_policy("streaming_llm:4:252");
  kvevict::PolicyState state;
  const kvevict::RopeConfig rope;
  std::mt19937 random(1);
  std::int64_t n_evictions = 0, most_rows = 0, most_position = 0;
  Floats output;
  for (std::int64_t token = 0; token < kTokens; ++token) {
    Projection p = project(random);
    const std::int64_t position = cache.next_rope_pos(0);
    rotate(p.q, position, rope);
    rotate(p.k, position, rope);
    write_row(k, p.k, cache.n_rows(0));
    write_row(v, p.v, cache.n_rows(0));
    cache.note_appended(0, 1);
    for (std::size_t h = 0, head = 0; h < kHeads; ++h, head += kCapacity * kDim) {
      output = attend(&p.q[h * kDim], &k[head], &v[head], cache.n_rows(0));
    }
    most_rows = std::max(most_rows, cache.n_rows(0));
    most_position = std::max(most_position, position);
    if (cache.n_rows(0) < *policy->budget_tokens(state) + kSlack) continue;
    evict_to_plan(cache, policy->plan(cache.seen_tokens(), state));
    rerotate(cache, rope);
    ++n_evictions;
  }
  std::cout << cache.seen_tokens() << " tokens seen, " << cache.n_rows(0) << " in the cache; never more than "
            << most_rows << " rows or position " << most_position << "; " << n_evictions
            << " evictions in place\n";
  std::cout << "rows 0 to 5 hold the tokens";
  for (std::size_t r = 0; r < 6; ++r) std::cout << " " << cache.abs_pos(0).to_indices()[r];
  std::cout << "; the last output begins with " << output.front() << "\n";
  return std::isfinite(output.front()) ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const kvevict::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
