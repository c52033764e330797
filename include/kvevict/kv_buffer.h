#pragma once

#include <cstdint>
#include <memory>

#include "kvevict/export.h"
#include "kvevict/kv_view.h"

namespace KVEVICT_PUBLIC kvevict {

/// A K or V tensor of one layer that owns its memory (host).
///
///     kHeadsFirst   [batch, kv_heads, capacity, head_dim]
///     kSeqFirst     [batch, capacity, kv_heads, head_dim]
///
/// The memory is mapped from the system: rows that were never written read as zero and take no
/// resident memory, so a generous capacity costs address space only. No implicit copy of K/V.
/// Thread safety: one thread at a time.
class KvBuffer {
 public:
  /// `shape.seq` is the capacity in rows. Errors: kInvalidArgument as for KvView, kOutOfMemory.
  KvBuffer(ElementType type, const KvShape& shape, KvLayout layout = KvLayout::kHeadsFirst);
  ~KvBuffer();
  KvBuffer(KvBuffer&&) noexcept;
  KvBuffer& operator=(KvBuffer&&) noexcept;
  KvBuffer(const KvBuffer&) = delete;
  KvBuffer& operator=(const KvBuffer&) = delete;

  /// All rows up to the capacity. Valid until the buffer is destroyed, moved or resized.
  [[nodiscard]] const KvView& view() const& noexcept;
  const KvView& view() const&& = delete;  ///< A view of a temporary would dangle.

  [[nodiscard]] std::int64_t capacity() const noexcept { return view().shape().seq; }

  /// Makes room for `capacity` rows, more or fewer than now, and keeps the first `n_rows`. In place:
  /// pages are remapped and each head's rows moved within them, never into a second copy.
  /// REQUIRES: 0 <= n_rows <= both capacities. Errors: kInvalidArgument, kOutOfMemory; the buffer
  /// is then as it was. O(bytes of the rows kept).
  void set_capacity(std::int64_t capacity, std::int64_t n_rows);

  /// Gives the pages that hold only rows from `first` on back to the system. Those rows' content is
  /// lost; the capacity stays, and writing to them takes memory again. Returns the resident bytes
  /// given back: whole pages only, and 0 if the system refuses (locked memory).
  std::int64_t release_rows(std::int64_t first) noexcept;

  /// Address space taken. Bytes.
  [[nodiscard]] std::int64_t reserved_bytes() const noexcept;

  /// Of those, bytes in physical memory now. O(pages).
  [[nodiscard]] std::int64_t resident_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
