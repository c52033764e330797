#include "tensors/element_convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "base/half_floats.h"

namespace kvevict {
namespace {

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
