#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// What one element of a K or V tensor is. `kBytes`: one byte of a packed row of quantised blocks,
/// whose `head_dim` is then the row's length in bytes; rows are moved, never looked into.
enum class ElementType { kF32, kF16, kBf16, kI8, kU8, kF8E4M3, kF8E5M2, kBytes };

/// "f32", "f16", "bf16", "i8", "u8", "f8_e4m3", "f8_e5m2", "bytes".
[[nodiscard]] std::string_view to_string(ElementType type) noexcept;

/// Bytes of one element: 4, 2 or 1.
[[nodiscard]] std::int64_t element_bytes(ElementType type) noexcept;

/// Where a tensor's memory is.
enum class MemoryKind {
  kHost,
  kCuda,  ///< Device memory of the current CUDA device; never read or written by the host.
};

/// The logical shape of a K or V tensor, whatever the order in memory. Dimensions of 0 are legal.
struct KvShape {
  std::int64_t batch = 1;
  std::int64_t kv_heads = 1;
  std::int64_t seq = 0;       ///< Rows (tokens) that there is room for.
  std::int64_t head_dim = 0;  ///< Elements of one head's row; K and V may differ.

  friend bool operator==(const KvShape&, const KvShape&) = default;
};

/// Steps between neighbours along each axis, in ELEMENTS, of any sign.
struct KvStrides {
  std::int64_t batch = 0;
  std::int64_t kv_heads = 0;
  std::int64_t seq = 0;
  std::int64_t head_dim = 1;

  friend bool operator==(const KvStrides&, const KvStrides&) = default;
};

/// The usual orders in memory of a dense tensor, slowest axis first.
enum class KvLayout {
  kHeadsFirst,  ///< [batch, kv_heads, seq, head_dim]
  kSeqFirst,    ///< [batch, seq, kv_heads, head_dim]
};

/// The strides of a dense tensor of that shape and order.
[[nodiscard]] KvStrides dense_strides(const KvShape& shape, KvLayout layout) noexcept;

/// A borrowed K or V tensor of one layer: any engine's memory, never owned, copied or freed here.
///
///     logical   [batch, kv_heads, seq, head_dim]
///     memory    data + element_bytes · (b · strides.batch + h · strides.kv_heads + …)
///
/// Owner: the caller, who keeps the memory alive and untouched by others while it is used.
/// A value type of a few words; const members may be called from several threads.
class KvView {
 public:
  /// No tensor: shape 1 x 1 x 0 x 0.
  KvView() = default;

  /// Errors (kInvalidArgument, naming the axis and the number): a negative dimension; a size or
  /// stride whose bytes do not fit 63 bits; a null pointer for a tensor that has elements; data
  /// not aligned to its element; strides that make two elements share memory (broadcast axes of
  /// stride 0 among them). Elements are taken to be apart when, from the smallest stride up, each
  /// axis steps over all that the smaller ones span: every layout made by permuting, slicing and
  /// padding a dense tensor is. O(1).
  KvView(void* data, ElementType type, const KvShape& shape, const KvStrides& strides,
         MemoryKind memory = MemoryKind::kHost);

  /// A dense tensor.
  KvView(void* data, ElementType type, const KvShape& shape, KvLayout layout,
         MemoryKind memory = MemoryKind::kHost)
      : KvView(data, type, shape, dense_strides(shape, layout), memory) {}

  /// A tensor that may only be read: whatever would write to it is refused.
  [[nodiscard]] static KvView read_only(const void* data, ElementType type, const KvShape& shape,
                                        const KvStrides& strides, MemoryKind memory = MemoryKind::kHost);

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] ElementType type() const noexcept { return type_; }
  [[nodiscard]] const KvShape& shape() const noexcept { return shape_; }
  [[nodiscard]] const KvStrides& strides() const noexcept { return strides_; }
  [[nodiscard]] MemoryKind memory() const noexcept { return memory_; }
  [[nodiscard]] bool is_read_only() const noexcept { return read_only_; }

  /// Elements in all: 0 if a dimension is 0.
  [[nodiscard]] std::int64_t n_elements() const noexcept;

  /// Bytes of one row over all sequences and heads.
  [[nodiscard]] std::int64_t bytes_per_token() const noexcept;

  /// The first element of a row. REQUIRES: indices within the shape; host memory.
  [[nodiscard]] std::byte* row(std::int64_t batch, std::int64_t head, std::int64_t token) const noexcept;

  /// The same tensor with only its rows [begin, begin + n). Errors: kInvalidArgument if they are
  /// not within the tensor.
  [[nodiscard]] KvView rows(std::int64_t begin, std::int64_t n) const;

 private:
  std::byte* data_ = nullptr;
  ElementType type_ = ElementType::kF32;
  KvShape shape_;
  KvStrides strides_;
  MemoryKind memory_ = MemoryKind::kHost;
  bool read_only_ = false;
};

/// Throws `Error(kInvalidArgument)` if two of the tensors might share memory, as a V that is a
/// slice of its K would (pass such a V with head_dim 0: K's rows carry it along). Tensors
/// interleaved in one allocation are told apart if their strides agree. O(n log n) for n
/// tensors apart from each other, O(n²) for n interleaved ones.
void require_disjoint(std::span<const KvView> tensors);

}  // namespace kvevict
