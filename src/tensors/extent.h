#pragma once

#include <array>
#include <cstdint>

#include "kvevict/kv_view.h"

namespace kvevict {

/// The most elements that a tensor may have or span along an axis: four axes of them, in bytes,
/// stay within 63 bits.
inline constexpr std::int64_t kMaxExtent = std::int64_t{1} << 57;

/// An axis in bytes, its stride made positive.
struct Axis {
  std::int64_t size = 1;
  std::int64_t stride = 0;
};

/// A tensor's memory as a set of bytes: `origin` is its lowest address.
struct Extent {
  std::uintptr_t origin = 0;
  std::array<Axis, 4> axes;  ///< batch, kv_heads, seq, head_dim; strides >= 0.
  std::int64_t element_bytes = 1;
  std::int64_t span_bytes = 0;  ///< From the lowest byte to behind the highest one.
};

/// REQUIRES: the view has elements.
[[nodiscard]] Extent extent_of(const KvView& view);

/// Throws if two elements of the tensor might share memory; see KvView's constructor.
void require_no_alias(const KvView& view);

}  // namespace kvevict
