#include "tensors/extent.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr const char* kAxisNames[] = {"batch", "kv_heads", "seq", "head_dim"};

/// Numbers of the axes, smallest stride first; those of one element, which never step, come first.
std::array<std::size_t, 4> inner_to_outer(const Extent& extent) {
  std::array<std::size_t, 4> order{0, 1, 2, 3};
  const auto key = [&](std::size_t i) { return extent.axes[i].size <= 1 ? -1 : extent.axes[i].stride; };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  return order;
}

/// Whether two tensors step alike along every axis along which either steps.
bool same_steps(const Extent& a, const Extent& b) {
  for (std::size_t i = 0; i < a.axes.size(); ++i) {
    if (a.axes[i].size > 1 && b.axes[i].size > 1 && a.axes[i].stride != b.axes[i].stride) return false;
  }
  return true;
}

/// Tensors of equal steps, `low` with the lower origin: at some depth of the nesting the inner part
/// of `high` lies behind that of `low`, and every outer axis steps over both.
bool interleaved_apart(const Extent& low, const Extent& high) {
  Extent both = low;
  for (std::size_t i = 0; i < both.axes.size(); ++i) {
    if (low.axes[i].size <= 1) both.axes[i].stride = high.axes[i].stride;
    both.axes[i].size = std::max(low.axes[i].size, high.axes[i].size);
  }
  const auto order = inner_to_outer(both);
  const auto offset = static_cast<std::int64_t>(high.origin - low.origin);
  std::int64_t low_span = low.element_bytes;
  std::int64_t high_span = high.element_bytes;
  for (std::size_t depth = 0; depth <= order.size(); ++depth) {
    if (offset >= low_span) {
      std::int64_t span = offset + high_span;
      bool nested = true;
      for (std::size_t i = depth; i < order.size() && nested; ++i) {
        const Axis& axis = both.axes[order[i]];
        if (axis.size <= 1) continue;
        nested = axis.stride >= span;
        span += (axis.size - 1) * axis.stride;
      }
      if (nested) return true;
    }
    if (depth == order.size()) break;
    const std::size_t axis = order[depth];
    low_span += (low.axes[axis].size - 1) * both.axes[axis].stride;
    high_span += (high.axes[axis].size - 1) * both.axes[axis].stride;
  }
  return false;
}

}  // namespace

Extent extent_of(const KvView& view) {
  const KvShape& shape = view.shape();
  const KvStrides& strides = view.strides();
  Extent extent;
  extent.element_bytes = element_bytes(view.type());
  extent.axes = {{{shape.batch, strides.batch},
                  {shape.kv_heads, strides.kv_heads},
                  {shape.seq, strides.seq},
                  {shape.head_dim, strides.head_dim}}};
  extent.span_bytes = extent.element_bytes;
  std::int64_t below = 0;
  for (Axis& axis : extent.axes) {
    axis.stride = axis.size <= 1 ? 0 : axis.stride * extent.element_bytes;
    const std::int64_t reach = (axis.size - 1) * axis.stride;
    if (reach < 0) {
      below -= reach;
      axis.stride = -axis.stride;
    }
    extent.span_bytes += reach < 0 ? -reach : reach;
  }
  extent.origin = reinterpret_cast<std::uintptr_t>(view.data()) - static_cast<std::uintptr_t>(below);
  return extent;
}

void require_no_alias(const KvView& view) {
  const Extent extent = extent_of(view);
  std::int64_t span = extent.element_bytes;
  for (const std::size_t i : inner_to_outer(extent)) {
    const Axis& axis = extent.axes[i];
    if (axis.size <= 1) continue;
    if (axis.stride < span) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the tensor's " + std::string(kAxisNames[i]) + " axis of " + std::to_string(axis.size) +
                      " steps by " + std::to_string(axis.stride) + " bytes, but its inner axes span " +
                      std::to_string(span) + " bytes: elements that share memory cannot be moved in place");
    }
    span += (axis.size - 1) * axis.stride;
  }
}

void require_disjoint(std::span<const KvView> tensors) {
  struct Placed {
    Extent extent;
    MemoryKind memory;
  };
  std::vector<Placed> placed;
  placed.reserve(tensors.size());
  for (const KvView& view : tensors) {
    if (view.n_elements() > 0) placed.push_back({extent_of(view), view.memory()});
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.extent.origin < b.extent.origin; });
  for (std::size_t i = 0; i < placed.size(); ++i) {
    const Extent& low = placed[i].extent;
    const std::uintptr_t end = low.origin + static_cast<std::uintptr_t>(low.span_bytes);
    for (std::size_t j = i + 1; j < placed.size() && placed[j].extent.origin < end; ++j) {
      if (placed[i].memory != placed[j].memory) continue;
      if (same_steps(low, placed[j].extent) && interleaved_apart(low, placed[j].extent)) continue;
      throw Error(
          ErrorCode::kInvalidArgument,
          "two of the tensors may share memory: K and V of every layer must be apart (pass a V that is a "
          "slice of its K with head_dim 0)");
    }
  }
}

}  // namespace kvevict
