#include "base/half_floats.h"

#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kvevict {
namespace {

#if defined(__x86_64__)
/// Every processor with AVX2 converts halves too.
bool converts_halves() noexcept {
  return __builtin_cpu_supports("avx2") != 0;
}

__attribute__((target("avx,f16c"))) std::int64_t read_halves(const std::byte* from, std::int64_t n,
                                                             float* to) noexcept {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(to + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 2 * i))));
  }
  return i;
}

__attribute__((target("avx,f16c"))) std::int64_t write_halves(const float* from, std::int64_t n,
                                                              std::byte* to) noexcept {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2 * i), halves);
  }
  return i;
}
#else
bool converts_halves() noexcept {
  return false;
}
std::int64_t read_halves(const std::byte*, std::int64_t, float*) noexcept {
  return 0;
}
std::int64_t write_halves(const float*, std::int64_t, std::byte*) noexcept {
  return 0;
}
#endif

}  // namespace

float float_from_half(std::uint16_t half) noexcept {
  const std::uint32_t sign = (std::uint32_t{half} & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13U));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23U) | (mantissa << 13U));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return sign == 0 ? magnitude : -magnitude;
}

std::uint16_t half_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);   // not a number
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // rounds to infinity
  if (magnitude < 0x38800000U) {  // below the least normal half
    const float scaled =
        std::bit_cast<float>(magnitude) + 0.5F;  // its last bit is then that of the least half
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(scaled) - 0x3F000000U));
  }
  const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13U) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13U));
}

void floats_from_halves(const std::byte* from, std::int64_t n, float* to) noexcept {
  for (std::int64_t i = converts_halves() ? read_halves(from, n, to) : 0; i < n; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, from + 2 * i, sizeof half);
    to[i] = float_from_half(half);
  }
}

void halves_from_floats(const float* from, std::int64_t n, std::byte* to) noexcept {
  for (std::int64_t i = converts_halves() ? write_halves(from, n, to) : 0; i < n; ++i) {
    const std::uint16_t half = half_from_float(from[i]);
    std::memcpy(to + 2 * i, &half, sizeof half);
  }
}

}  // namespace kvevict
