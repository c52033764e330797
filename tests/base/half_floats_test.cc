#include "base/half_floats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace kvevict {
namespace {

/// A half by its definition.
double value_of_half(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1F;
  const double mantissa = half & 0x3FF;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(HalfFloatsTest, EveryHalfReadsAsItsValueAndComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_half(half);
    if ((half & 0x7C00) == 0x7C00) {
      EXPECT_EQ(std::isnan(value), (half & 0x3FF) != 0);
      if (std::isnan(value)) continue;
    } else {
      ASSERT_EQ(static_cast<double>(value), value_of_half(half)) << bits;
    }
    ASSERT_EQ(half_from_float(value), half) << bits;
  }
}

TEST(HalfFloatsTest, FloatsRoundToTheNearestHalfTiesToEven) {
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits);
    const double a = value_of_half(low), b = value_of_half(static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>((a + b) / 2);  // exact: a half has 11 bits
    ASSERT_EQ(half_from_float(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(half_from_float(std::nextafter(middle, 0.0F)), bits);
    ASSERT_EQ(half_from_float(-std::nextafter(middle, 1e9F)), (bits + 1) | 0x8000U);
  }
  EXPECT_EQ(half_from_float(65520.0F), 0x7C00);
  EXPECT_EQ(half_from_float(1e30F), 0x7C00);
  EXPECT_EQ(half_from_float(-INFINITY), 0xFC00);
  EXPECT_EQ(half_from_float(1e-30F), 0);
}

TEST(HalfFloatsTest, ManyAtOnceEqualOneByOne) {
  std::vector<std::uint16_t> halves;
  for (std::uint32_t bits = 0; bits < 0xFFFF; ++bits) halves.push_back(static_cast<std::uint16_t>(bits));
  std::vector<std::byte> bytes(2 * halves.size());
  std::memcpy(bytes.data(), halves.data(), bytes.size());
  const auto n = static_cast<std::int64_t>(halves.size());  // no multiple of what is converted at a time
  std::vector<float> values(halves.size());
  floats_from_halves(bytes.data(), n, values.data());
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const float value = float_from_half(halves[i]);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(values[i]));
      values[i] = 0;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), std::bit_cast<std::uint32_t>(value)) << i;
    }
  }
  std::vector<std::byte> back(bytes.size());
  halves_from_floats(values.data(), n, back.data());
  for (std::size_t i = 0; i < halves.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, back.data() + 2 * i, sizeof half);
    ASSERT_EQ(half, half_from_float(values[i])) << i;
  }
}

}  // namespace
}  // namespace kvevict
