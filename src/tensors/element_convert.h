#pragma once

#include <cstddef>
#include <cstdint>

#include "kvevict/kv_view.h"

namespace kvevict {

/// Whether elements of the type are floating-point numbers that can be computed with: f32, f16, bf16.
[[nodiscard]] bool is_computable(ElementType type) noexcept;

/// Rounds to nearest, ties to even.
[[nodiscard]] std::uint16_t bfloat_from_float(float value) noexcept;

/// n elements of a computable type, `stride` ELEMENTS apart, as floats.
void read_floats(ElementType type, const std::byte* from, std::int64_t stride, std::int64_t n,
                 float* to) noexcept;

/// The way back, rounded to nearest, ties to even.
void write_floats(ElementType type, const float* from, std::int64_t n, std::byte* to,
                  std::int64_t stride) noexcept;

}  // namespace kvevict
