#include "tensors/lanes.h"

namespace kvevict {
namespace {

struct OuterAxis {
  std::int64_t size;
  std::int64_t stride;
};

/// Merges into the row every axis that steps by exactly a row, as long as there is one.
void merge_into_row(std::array<OuterAxis, 3>& axes, Lanes& lanes) {
  for (bool merged = true; merged;) {
    merged = false;
    for (OuterAxis& axis : axes) {
      if (axis.size <= 1 || axis.stride != lanes.row_bytes) continue;
      lanes.row_bytes *= axis.size;
      axis.size = 1;
      merged = true;
    }
  }
}

}  // namespace

std::byte* Lanes::lane(std::int64_t number) const noexcept {
  const std::int64_t inner = number % sizes[2];
  const std::int64_t middle = number / sizes[2] % sizes[1];
  const std::int64_t outer = number / sizes[2] / sizes[1];
  return base + outer * strides[0] + middle * strides[1] + inner * strides[2];
}

Lanes lanes_of(const KvView& view) {
  const KvShape& shape = view.shape();
  const std::int64_t element = element_bytes(view.type());
  Lanes lanes;
  lanes.n_rows = shape.seq;
  if (view.n_elements() == 0) return lanes;
  lanes.base = view.data();
  lanes.row_bytes = element;
  lanes.row_stride = shape.seq > 1 ? view.strides().seq * element : 0;
  std::array<OuterAxis, 3> axes{{{shape.batch, view.strides().batch},
                                 {shape.kv_heads, view.strides().kv_heads},
                                 {shape.head_dim, view.strides().head_dim}}};
  for (OuterAxis& axis : axes) {
    axis.stride = axis.size > 1 ? axis.stride * element : 0;
    if (axis.stride >= 0) continue;
    lanes.base += (axis.size - 1) * axis.stride;
    axis.stride = -axis.stride;
  }
  merge_into_row(axes, lanes);
  lanes.n_lanes = 1;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    lanes.sizes[i] = axes[i].size;
    lanes.strides[i] = axes[i].size > 1 ? axes[i].stride : 0;
    lanes.n_lanes *= axes[i].size;
  }
  return lanes;
}

}  // namespace kvevict
