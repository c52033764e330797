#include "kvevict/kv_view.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "kvevict/error.h"
#include "tensors/extent.h"
#include "tensors/refuse.h"

namespace kvevict {
namespace {

void require_addressable(const char* axis, std::int64_t size, std::int64_t stride) {
  if (size < 0) {
    refuse("the tensor's " + std::string(axis) + " is " + std::to_string(size) + ": 0 or more is needed");
  }
  std::int64_t span = 0;
  const bool overflows = __builtin_mul_overflow(size, stride, &span);
  if (size > 1 && (overflows || span > kMaxExtent || span < -kMaxExtent)) {
    refuse("the tensor's " + std::string(axis) + " of " + std::to_string(size) + " with stride " +
           std::to_string(stride) + " spans more bytes than can be addressed");
  }
}

/// Throws if there are too many elements, counting an axis of 0 as one of 1.
void require_countable(std::initializer_list<std::int64_t> sizes) {
  std::int64_t n = 1;
  for (const std::int64_t size : sizes) {
    const bool overflows = __builtin_mul_overflow(n, std::max<std::int64_t>(size, 1), &n);
    if (overflows || n > kMaxExtent) refuse("the tensor has more elements than can be addressed");
  }
}

/// Wraps round if it overflows: the constructor then refuses the shape.
std::int64_t times(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

}  // namespace

std::string_view to_string(ElementType type) noexcept {
  switch (type) {
    case ElementType::kF32:
      return "f32";
    case ElementType::kF16:
      return "f16";
    case ElementType::kBf16:
      return "bf16";
    case ElementType::kI8:
      return "i8";
    case ElementType::kU8:
      return "u8";
    case ElementType::kF8E4M3:
      return "f8_e4m3";
    case ElementType::kF8E5M2:
      return "f8_e5m2";
    case ElementType::kBytes:
      return "bytes";
  }
  return "bytes";
}

std::int64_t element_bytes(ElementType type) noexcept {
  switch (type) {
    case ElementType::kF32:
      return 4;
    case ElementType::kF16:
    case ElementType::kBf16:
      return 2;
    default:
      return 1;
  }
}

KvStrides dense_strides(const KvShape& shape, KvLayout layout) noexcept {
  const std::int64_t row = shape.head_dim;
  const std::int64_t sequence = times(times(shape.kv_heads, shape.seq), row);
  if (layout == KvLayout::kHeadsFirst) return {sequence, times(shape.seq, row), row, 1};
  return {sequence, row, times(shape.kv_heads, row), 1};
}

KvView::KvView(void* data, ElementType type, const KvShape& shape, const KvStrides& strides,
               MemoryKind memory)
    : data_(static_cast<std::byte*>(data)), type_(type), shape_(shape), strides_(strides), memory_(memory) {
  require_addressable("batch", shape.batch, strides.batch);
  require_addressable("kv_heads", shape.kv_heads, strides.kv_heads);
  require_addressable("seq", shape.seq, strides.seq);
  require_addressable("head_dim", shape.head_dim, strides.head_dim);
  require_countable({shape.batch, shape.kv_heads, shape.seq, shape.head_dim});
  if (n_elements() == 0) return;
  if (data == nullptr) refuse("the tensor has elements but its data pointer is null");
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(element_bytes(type)) != 0) {
    refuse("the tensor's data is not aligned to its " + std::string(to_string(type)) + " elements");
  }
  require_no_alias(*this);
}

KvView KvView::read_only(const void* data, ElementType type, const KvShape& shape, const KvStrides& strides,
                         MemoryKind memory) {
  KvView view(const_cast<void*>(data), type, shape, strides, memory);
  view.read_only_ = true;
  return view;
}

std::int64_t KvView::n_elements() const noexcept {
  return shape_.batch * shape_.kv_heads * shape_.seq * shape_.head_dim;
}

std::int64_t KvView::bytes_per_token() const noexcept {
  return shape_.batch * shape_.kv_heads * shape_.head_dim * element_bytes(type_);
}

std::byte* KvView::row(std::int64_t batch, std::int64_t head, std::int64_t token) const noexcept {
  return data_ +
         element_bytes(type_) * (batch * strides_.batch + head * strides_.kv_heads + token * strides_.seq);
}

KvView KvView::rows(std::int64_t begin, std::int64_t n) const {
  if (begin < 0 || n < 0 || begin > shape_.seq || n > shape_.seq - begin) {
    refuse("rows [" + std::to_string(begin) + ", " + std::to_string(begin) + " + " + std::to_string(n) +
           ") are not within a tensor of " + std::to_string(shape_.seq) + " rows");
  }
  KvView part = *this;
  part.shape_.seq = n;
  if (n > 0 && n_elements() > 0) part.data_ = row(0, 0, begin);
  return part;
}

}  // namespace kvevict
