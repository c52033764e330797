#include "tensors/element_convert.h"

#include <bit>
#include <cstring>

#include "base/half_floats.h"

namespace kvevict {
namespace {

template <typename T>
T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void store(std::byte* at, T value) noexcept {
  std::memcpy(at, &value, sizeof value);
}

float float_from_bfloat(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(std::uint32_t{bits} << 16U);
}

}  // namespace

bool is_computable(ElementType type) noexcept {
  return type == ElementType::kF32 || type == ElementType::kF16 || type == ElementType::kBf16;
}

std::uint16_t bfloat_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

void read_floats(ElementType type, const std::byte* from, std::int64_t stride, std::int64_t n,
                 float* to) noexcept {
  std::int64_t i = 0;
  switch (type) {
    case ElementType::kF32:
      for (; i < n; ++i) to[i] = load<float>(from + 4 * i * stride);
      return;
    case ElementType::kF16:
      if (stride == 1) return floats_from_halves(from, n, to);
      for (; i < n; ++i) to[i] = float_from_half(load<std::uint16_t>(from + 2 * i * stride));
      return;
    default:
      for (; i < n; ++i) to[i] = float_from_bfloat(load<std::uint16_t>(from + 2 * i * stride));
      return;
  }
}

void write_floats(ElementType type, const float* from, std::int64_t n, std::byte* to,
                  std::int64_t stride) noexcept {
  std::int64_t i = 0;
  switch (type) {
    case ElementType::kF32:
      for (; i < n; ++i) store(to + 4 * i * stride, from[i]);
      return;
    case ElementType::kF16:
      if (stride == 1) return halves_from_floats(from, n, to);
      for (; i < n; ++i) store(to + 2 * i * stride, half_from_float(from[i]));
      return;
    default:
      for (; i < n; ++i) store(to + 2 * i * stride, bfloat_from_float(from[i]));
      return;
  }
}

}  // namespace kvevict
