#include "kvevict/rerotate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <random>
#include <string>

#include "kvevict/error.h"
#include "tensor_cases.h"
#include "tensors/element_convert.h"

namespace kvevict {
namespace {

using testing::GuardedTensor;

struct NamedRope {
  std::string name;
  RopeConfig rope;
};

std::vector<NamedRope> ropes(std::int64_t head_dim) {
  std::vector<NamedRope> all;
  for (const RopePairing pairing : {RopePairing::kNorm, RopePairing::kNeox}) {
    const std::string name = pairing == RopePairing::kNorm ? "norm " : "neox ";
    RopeConfig plain;
    plain.pairing = pairing;
    all.push_back({name + "plain", plain});
    RopeConfig partial = plain;
    partial.n_rot = head_dim / 2;
    partial.first_dim = 2;
    partial.base = 500000;
    all.push_back({name + "partial", partial});
    RopeConfig linear = plain;
    linear.freq_scale = 0.25;
    all.push_back({name + "linear", linear});
    RopeConfig llama3 = plain;
    llama3.base = 500000;
    llama3.freq_factors = llama3_freq_factors(head_dim, 500000, 8, 1, 4, 8192);
    all.push_back({name + "llama3", llama3});
    RopeConfig yarn = plain;
    yarn.freq_scale = 0.25;
    yarn.yarn.n_ctx_orig = 4096;
    all.push_back({name + "yarn", yarn});
  }
  return all;
}

/// The element of a tensor as a number.
double number_at(const KvView& view, std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d) {
  float value = 0;
  read_floats(view.type(), view.row(b, h, t) + d * view.strides().head_dim * element_bytes(view.type()), 1, 1,
              &value);
  return value;
}

void fill_with_numbers(const GuardedTensor& tensor, std::mt19937& random) {
  const ElementType type = tensor.view().type();
  tensor.for_each_element([&](std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::byte* at) {
    const float value = static_cast<float>(random() % 20001) / 10000.0F - 1.0F;
    write_floats(type, &value, 1, at, 1);
  });
}

/// A key turned by its definition, in double precision.
std::vector<double> turned(const std::vector<double>& key, const RopeConfig& rope, double turn) {
  const auto frequencies = rope_frequencies(rope, static_cast<std::int64_t>(key.size()));
  std::vector<double> result = key;
  const std::size_t n = frequencies.size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto first = static_cast<std::size_t>(rope.first_dim);
    const std::size_t a = first + (rope.pairing == RopePairing::kNeox ? i : 2 * i);
    const std::size_t b = first + (rope.pairing == RopePairing::kNeox ? i + n : 2 * i + 1);
    const double angle = turn * frequencies[i];
    result[a] = key[a] * std::cos(angle) - key[b] * std::sin(angle);
    result[b] = key[a] * std::sin(angle) + key[b] * std::cos(angle);
  }
  return result;
}

std::vector<double> key_at(const KvView& view, std::int64_t b, std::int64_t h, std::int64_t t) {
  std::vector<double> key;
  for (std::int64_t d = 0; d < view.shape().head_dim; ++d) key.push_back(number_at(view, b, h, t, d));
  return key;
}

/// Half the distance of neighbouring numbers of the type near 1.5, the largest that an element may be.
double rounding(ElementType type) {
  switch (type) {
    case ElementType::kF32:
      return 3e-7;
    case ElementType::kF16:
      return 0x1p-11;
    default:
      return 0x1p-8;
  }
}

KeepSet random_positions(std::int64_t n, std::mt19937& random) {
  KeepSet positions;
  std::int64_t at = static_cast<std::int64_t>(random() % 1000);
  for (std::int64_t i = 0; i < n; ++i) {
    positions.append(at, at + 1);
    at += random() % 3 == 0 ? static_cast<std::int64_t>(1 + random() % 5000) : 1;
  }
  return positions;
}

TEST(RotateKeysTest, EveryRopeTypeAndLayoutEqualsTheDefinition) {
  std::mt19937 random(31);
  for (const auto& [name, rope] : ropes(16)) {
    for (const ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
      for (const char* order : {"bhsd", "bshd", "dbsh"}) {
        const GuardedTensor keys(type, {2, 2, 23, 16}, order, 1, "h", random);
        fill_with_numbers(keys, random);
        const KeepSet from = random_positions(23, random), to = random_positions(23, random);
        std::vector<std::vector<double>> expected;
        for (std::int64_t i = 0; i < 2 * 2 * 23; ++i) {
          const auto turn = to.to_indices()[static_cast<std::size_t>(i % 23)] -
                            from.to_indices()[static_cast<std::size_t>(i % 23)];
          expected.push_back(
              turned(key_at(keys.view(), i / 46, i / 23 % 2, i % 23), rope, static_cast<double>(turn)));
        }
        rotate_keys(keys.view(), from, to, rope, 2);
        for (std::int64_t i = 0; i < 2 * 2 * 23; ++i) {
          const auto key = key_at(keys.view(), i / 46, i / 23 % 2, i % 23);
          for (std::size_t d = 0; d < key.size(); ++d) {
            ASSERT_NEAR(key[d], expected[static_cast<std::size_t>(i)][d], rounding(type))
                << name << " " << order << " " << to_string(type) << " row " << i % 23 << " element " << d;
          }
        }
        ASSERT_TRUE(keys.guards_hold()) << name << " " << order;
      }
    }
  }
}

TEST(RotateKeysTest, TurnsComposeAndUnturnedRowsStayToTheBit) {
  std::mt19937 random(32);
  for (const auto& [name, rope] : ropes(128)) {
    const GuardedTensor twice(ElementType::kF32, {1, 2, 40, 128}, "bhsd", 0, "", random);
    fill_with_numbers(twice, random);
    const GuardedTensor once(ElementType::kF32, {1, 2, 40, 128}, "bhsd", 0, "", random);
    std::memcpy(once.view().data(), twice.view().data(), 2 * 40 * 128 * 4);
    const auto before = once.bytes();
    const KeepSet a = random_positions(40, random), b = random_positions(40, random),
                  c = random_positions(40, random);
    rotate_keys(twice.view(), a, b, rope);
    rotate_keys(twice.view(), b, c, rope);
    rotate_keys(once.view(), a, c, rope);
    for (std::int64_t t = 0; t < 40; ++t) {
      for (std::int64_t d = 0; d < 128; ++d) {
        ASSERT_NEAR(number_at(twice.view(), 0, 1, t, d), number_at(once.view(), 0, 1, t, d), 1e-6) << name;
      }
    }
    rotate_keys(once.view(), c, c, rope);
    const auto after = once.bytes();
    rotate_keys(once.view(), a, a, rope);
    ASSERT_EQ(once.bytes(), after) << name;
    ASSERT_NE(before, after);
  }
}

TEST(RotateKeysTest, UnrotatedKeysAreRotatedAsTheyAreNeeded) {
  std::mt19937 random(33);
  for (const auto& [name, rope] : ropes(16)) {
    const GuardedTensor keys(ElementType::kF16, {1, 2, 30, 16}, "bshd", 0, "", random);
    fill_with_numbers(keys, random);
    const GuardedTensor rotated(ElementType::kF32, {1, 2, 30, 16}, "bhsd", 2, "", random);
    const KeepSet positions = random_positions(30, random);
    const auto before = keys.bytes();
    rotate_keys_into(rotated.view(), keys.view(), positions, rope);
    ASSERT_EQ(keys.bytes(), before);
    ASSERT_TRUE(rotated.guards_hold());
    for (std::int64_t t = 0; t < 30; ++t) {
      const auto key = key_at(keys.view(), 0, 1, t);
      auto expected =
          turned(key, rope, static_cast<double>(positions.to_indices()[static_cast<std::size_t>(t)]));
      for (std::size_t d = 0; d < 16; ++d) {
        const bool outside = rope.n_rot != 0 && (d < 2 || d >= 10);
        if (!outside) expected[d] *= rope_magnitude(rope);
        ASSERT_NEAR(number_at(rotated.view(), 0, 1, t, static_cast<std::int64_t>(d)), expected[d], 3e-7)
            << name << " " << d;
      }
    }
  }
}

TEST(RopeFrequenciesTest, YarnInterpolatesSlowPairsAndLeavesFastOnes) {
  RopeConfig rope;
  rope.freq_scale = 0.25;
  rope.yarn.n_ctx_orig = 4096;
  const auto yarn = rope_frequencies(rope, 128);
  rope.yarn.n_ctx_orig = 0;
  const auto linear = rope_frequencies(rope, 128);
  // pairs that turn 32 times within 4096 positions end at 64·ln(4096/(32·2π))/ln(10000) = 20.9,
  // those that turn once at 45.03
  EXPECT_DOUBLE_EQ(yarn[20], 4 * linear[20]);
  EXPECT_LT(yarn[21], 4 * linear[21]);
  EXPECT_GT(yarn[45], linear[45]);
  EXPECT_DOUBLE_EQ(yarn[46], linear[46]);
  EXPECT_NEAR(yarn[33], linear[33] * (13.0 / 26 * 1 + 13.0 / 26 * 4), 1e-15) << "halfway between 20 and 46";
  rope.yarn.n_ctx_orig = 4096;
  EXPECT_DOUBLE_EQ(rope_magnitude(rope), 1 + 0.1 * std::log(4.0));
}

TEST(RopeFrequenciesTest, Llama3KeepsShortWavesAndStretchesLongOnes) {
  const auto factors = llama3_freq_factors(128, 500000, 8, 1, 4, 8192);
  ASSERT_EQ(factors.size(), 64U);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(500000.0, 2.0 * static_cast<double>(i) / 128);
    if (wavelength < 8192.0 / 4) {
      EXPECT_DOUBLE_EQ(factors[i], 1) << i;
    } else if (wavelength > 8192.0) {
      EXPECT_DOUBLE_EQ(factors[i], 8) << i;
    } else {
      EXPECT_GT(factors[i], factors[i - 1]) << i;
    }
  }
}

TEST(RerotateTest, RefusesWhatCannotBeBeforeAnythingTurns) {
  std::mt19937 random(34);
  const GuardedTensor keys(ElementType::kF32, {1, 2, 10, 16}, "bhsd", 0, "", random);
  const auto before = keys.bytes();
  const KeepSet ten = KeepSet::all(10), moved = KeepSet::from_ranges({{5, 15}});
  const auto refused = [&](const RopeConfig& rope, const char* word) {
    try {
      rotate_keys(keys.view(), ten, moved, rope);
      ADD_FAILURE() << "not refused: " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  const auto with = [](auto change) {
    RopeConfig rope;
    change(rope);
    return rope;
  };
  refused(with([](RopeConfig& r) { r.n_rot = 15; }), "n_rot");
  refused(with([](RopeConfig& r) { r.n_rot = 18; }), "n_rot");
  refused(with([](RopeConfig& r) { r.n_rot = -2; }), "n_rot");
  refused(with([](RopeConfig& r) { r.first_dim = 17; }), "first_dim");
  refused(with([](RopeConfig& r) { r.base = 1; }), "base");
  refused(with([](RopeConfig& r) { r.base = NAN; }), "base");
  refused(with([](RopeConfig& r) { r.freq_scale = 0; }), "freq_scale");
  refused(with([](RopeConfig& r) { r.freq_factors = {1, 1}; }), "freq_factors");
  refused(with([](RopeConfig& r) { r.freq_factors.assign(8, -1); }), "freq_factor");
  refused(with([](RopeConfig& r) {
            r.yarn.n_ctx_orig = 8;
            r.yarn.ext_factor = 2;
          }),
          "ext_factor");
  EXPECT_THROW(rotate_keys(keys.view(), KeepSet::all(9), ten, {}), Error);
  EXPECT_THROW(rotate_keys(keys.view(), ten, ten, {}, -1), Error);
  EXPECT_THROW(rotate_keys_into(keys.view(), keys.view(), ten, {}), Error) << "not in place";
  const auto as_const =
      KvView::read_only(keys.view().data(), ElementType::kF32, keys.view().shape(), keys.view().strides());
  EXPECT_THROW(rotate_keys(as_const, ten, moved, {}), Error);
  const GuardedTensor packed(ElementType::kBytes, {1, 2, 10, 18}, "bhsd", 0, "", random);
  try {
    rotate_keys(packed.view(), ten, moved, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
  EXPECT_EQ(keys.bytes(), before);
}

TEST(RerotateTest, PositionsOfACachePackAndGoOn) {
  DynamicCache cache;
  cache.add_layer(KvBuffer(ElementType::kF32, {1, 1, 64, 8}), KvBuffer(ElementType::kF32, {1, 1, 64, 8}), 20);
  evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 2}, {14, 20}}));
  rerotate(cache, {});
  EXPECT_EQ(cache.rope_pos(0), KeepSet::all(8));
  EXPECT_EQ(cache.abs_pos(0), KeepSet::from_ranges({{0, 2}, {14, 20}}));
  EXPECT_EQ(cache.next_rope_pos(0), 8);
  cache.note_appended(0, 4);
  EXPECT_EQ(cache.rope_pos(0), KeepSet::all(12));
  evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 1}, {9, 12}}));
  EXPECT_EQ(cache.rope_pos(0), KeepSet::from_ranges({{0, 1}, {9, 12}})) << "as rotated, until the next pack";
  EXPECT_EQ(cache.next_rope_pos(0), 12);
  rerotate(cache, {});
  EXPECT_EQ(cache.rope_pos(0), KeepSet::all(4));
  EXPECT_EQ(cache.next_rope_pos(0), 4);
  EXPECT_EQ(cache.seen_tokens(), 24);
  EXPECT_EQ(cache.abs_pos(0), KeepSet::from_ranges({{0, 1}, {21, 24}}));
}

}  // namespace
}  // namespace kvevict
