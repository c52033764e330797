#include "tensors/element_convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
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

TEST(ElementConvertTest, EveryHalfReadsAsItsValueAndComesBack) {
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

TEST(ElementConvertTest, FloatsRoundToTheNearestHalfTiesToEven) {
  std::mt19937 random(1);
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

TEST(ElementConvertTest, ManyAtOnceEqualOneByOne) {
  std::mt19937 random(2);
  std::vector<float> values(1000);
  for (float& value : values)
    value = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & 0xC7FFFFFFU);
  for (const std::int64_t stride : {1, 3}) {
    std::vector<std::byte> halves(2 * values.size() * 3);
    std::vector<float> back(values.size());
    const auto n = static_cast<std::int64_t>(values.size());
    write_floats(ElementType::kF16, values.data(), n, halves.data(), stride);
    read_floats(ElementType::kF16, halves.data(), stride, n, back.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]),
                std::bit_cast<std::uint32_t>(float_from_half(half_from_float(values[i]))));
    }
  }
}

TEST(ElementConvertTest, FloatsRoundToTheNearestBfloat) {
  EXPECT_EQ(bfloat_from_float(1.0F), 0x3F80);
  EXPECT_EQ(bfloat_from_float(std::bit_cast<float>(0x3F808000U)), 0x3F80) << "a tie goes to even";
  EXPECT_EQ(bfloat_from_float(std::bit_cast<float>(0x3F818000U)), 0x3F82);
  EXPECT_EQ(bfloat_from_float(std::bit_cast<float>(0x3F808001U)), 0x3F81);
  EXPECT_TRUE((bfloat_from_float(NAN) & 0x7F) != 0);
}

}  // namespace
}  // namespace kvevict
