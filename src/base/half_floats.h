#pragma once

#include <cstddef>
#include <cstdint>

namespace kvevict {

/// Numbers of 16 bits in IEEE 754's binary16, as tensors and caches hold them. What is computed is the same
/// with and without the processor's own conversion.

[[nodiscard]] float float_from_half(std::uint16_t half) noexcept;

/// Rounds to nearest, ties to even.
[[nodiscard]] std::uint16_t half_from_float(float value) noexcept;

/// n halves, one behind the other, as floats.
void floats_from_halves(const std::byte* from, std::int64_t n, float* to) noexcept;

/// The way back, rounded to nearest, ties to even.
void halves_from_floats(const float* from, std::int64_t n, std::byte* to) noexcept;

}  // namespace kvevict
