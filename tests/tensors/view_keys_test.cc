#include "kvevict/view_keys.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "support/plain_keys.h"

namespace kvevict {
namespace {

constexpr KvShape kShape{2, 3, 64, 10};

/// A layer of random keys in memory of its own, of `n_rows` rows.
struct Layer {
  explicit Layer(std::mt19937& random, KvLayout layout = KvLayout::kHeadsFirst)
      : numbers(static_cast<std::size_t>(2 * 3 * 64 * 10)), values(numbers.size()) {
    std::normal_distribution<float> noise(0, 1);
    for (float& number : numbers) number = noise(random);
    k = KvView(numbers.data(), ElementType::kF32, kShape, layout);
    v = KvView(values.data(), ElementType::kF32, kShape, layout);
  }

  std::vector<float> numbers, values;
  KvView k, v;
};

class ViewKeysTest : public testing::Test {
 protected:
  std::mt19937 random_{5};
};

TEST_F(ViewKeysTest, GivesTheKeysBeforeTheirRotationWhereverTheyStand) {
  for (const RopePairing pairing : {RopePairing::kNeox, RopePairing::kNorm}) {
    RopeConfig rope;
    rope.pairing = pairing;
    rope.n_rot = 6;
    rope.first_dim = 2;
    const Layer plain(random_);
    Layer rotated(random_, KvLayout::kSeqFirst);
    rotate_keys_into(rotated.k, plain.k, KeepSet::all(64), rope);
    DynamicCache cache;
    cache.add_layer(rotated.k, rotated.v, 64);
    const KeepSet kept = KeepSet::from_ranges({{0, 3}, {20, 31}, {60, 64}});
    for (const bool is_packed : {false, true}) {
      evict_to_plan(cache, KeepPlan(kept));
      if (is_packed) rerotate(cache, rope);
      const auto keys = keys_of(cache, rope);
      ASSERT_EQ(keys->held(), KeepPlan(kept));
      const LayerKeys layer = keys->layer(0);
      ASSERT_EQ(layer.n_heads, 6);
      ASSERT_EQ(layer.head_dim, 10);
      const std::vector<std::int64_t> tokens = kept.to_indices();
      for (std::size_t r = 0; r < tokens.size(); ++r) {
        for (std::int64_t head = 0; head < 6; ++head) {
          const auto* const expected =
              reinterpret_cast<const float*>(plain.k.row(head / 3, head % 3, tokens[r]));
          for (std::int64_t d = 0; d < 10; ++d) {
            ASSERT_NEAR(layer.rows[r * 60 + static_cast<std::size_t>(head * 10 + d)], expected[d], 2e-6);
          }
        }
      }
    }
  }
}

TEST_F(ViewKeysTest, APolicyChoosesInTensorsAsFromTheKeysThemselves) {
  const RopeConfig rope;
  std::vector<Layer> plain;
  std::vector<Layer> rotated;
  for (int l = 0; l < 4; ++l) {
    plain.emplace_back(random_);
    rotated.emplace_back(random_);
  }
  DynamicCache cache;
  std::vector<std::vector<float>> numbers;
  for (std::size_t l = 0; l < 4; ++l) {
    rotate_keys_into(rotated[l].k, plain[l].k, KeepSet::all(64), rope);
    cache.add_layer(rotated[l].k, rotated[l].v, 64);
    numbers.emplace_back();
    for (std::int64_t row = 0; row < 64; ++row) {
      for (std::int64_t head = 0; head < 6; ++head) {
        const auto* const key = reinterpret_cast<const float*>(plain[l].k.row(head / 3, head % 3, row));
        numbers.back().insert(numbers.back().end(), key, key + 10);
      }
    }
  }
  for (const char* strategy : {"keydiff:2:8:12", "keydiff:2:8:12:per_layer=1"}) {
    const auto policy = make_policy(strategy);
    test::PlainKeys by_hand(KeepPlan(KeepSet::all(64)), numbers, 6, 10);
    PolicyState expected{.n_layers = 4, .keys = &by_hand};
    const auto keys = keys_of(cache, rope);
    PolicyState state{.n_layers = 4, .keys = keys.get()};
    EXPECT_EQ(policy->plan(64, state), policy->plan(64, expected)) << strategy;
  }
  const auto keys = keys_of(cache, rope);
  PolicyState state{.n_layers = 4, .keys = keys.get()};
  evict_to_plan(cache, make_policy("keydiff:2:8:12")->plan(cache.seen_tokens(), state));
  EXPECT_EQ(cache.n_rows(3), 22);
}

TEST_F(ViewKeysTest, WithoutARotationKeysAreReadAsTheyLie) {
  const Layer layer(random_);
  DynamicCache cache;
  cache.add_layer(layer.k, layer.v, 5);
  const auto keys = keys_of(cache, std::nullopt);
  const LayerKeys read = keys->layer(0);
  ASSERT_EQ(read.rows.size(), 5U * 60);
  EXPECT_EQ(read.rows[60 + 10], *reinterpret_cast<const float*>(layer.k.row(0, 1, 1)));
}

TEST_F(ViewKeysTest, KeysThatAreNoNumbersAreRefused) {
  std::vector<std::byte> k(64 * 18), v(64 * 18);
  DynamicCache cache;
  cache.add_layer(KvView(k.data(), ElementType::kBytes, {1, 1, 64, 18}, KvLayout::kHeadsFirst),
                  KvView(v.data(), ElementType::kBytes, {1, 1, 64, 18}, KvLayout::kHeadsFirst), 8);
  for (const auto& rope : {std::optional<RopeConfig>(), std::optional<RopeConfig>(RopeConfig{})}) {
    const auto keys = keys_of(cache, rope);
    try {
      (void)keys->layer(0);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    }
  }
}

}  // namespace
}  // namespace kvevict
