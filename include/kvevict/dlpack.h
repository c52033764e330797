#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "kvevict/export.h"
#include "kvevict/kv_view.h"

struct DLManagedTensor;  // dlpack/dlpack.h

namespace KVEVICT_PUBLIC kvevict {

/// The axes of a framework's tensor are named by one letter each, slowest axis first:
///
///     b batch   h kv_heads   s seq   d head_dim
///
/// "bhsd" is [batch, kv_heads, seq, head_dim], "bshd" [batch, seq, kv_heads, head_dim], "sd" one head of
/// one sequence. An axis without a letter is of size 1; s must be there.

struct DlpackReadOptions {
  /// What the bytes of a one-byte tensor (u8, i8) really are, if DLPack cannot say it: an f8 type,
  /// or the packed rows of quantised blocks (kBytes). Empty: the type that the tensor names.
  std::optional<ElementType> bytes_are{};
  bool read_only = false;  ///< Refuse whatever would write to the tensor.
};

/// A framework's tensor by DLPack, without a copy.
/// Owner: owns the DLManagedTensor from when the constructor has returned, and calls its deleter.
class DlpackTensor {
 public:
  /// Errors, the tensor then still being the caller's: kInvalidArgument (axes that do not fit the
  /// tensor, strides that alias: as KvView), kUnsupported (an element type or a device that KvView
  /// does not know; `bytes_are` for a tensor that is not of bytes).
  DlpackTensor(DLManagedTensor* tensor, std::string_view axes, const DlpackReadOptions& options = {});
  ~DlpackTensor();
  DlpackTensor(DlpackTensor&& other) noexcept;
  DlpackTensor& operator=(DlpackTensor&& other) noexcept;

  /// Valid as long as this object lives. CUDA memory must be that of the current device.
  [[nodiscard]] const KvView& view() const& noexcept { return view_; }
  const KvView& view() const&& = delete;

 private:
  DLManagedTensor* tensor_ = nullptr;
  KvView view_;
};

struct DlpackWriteOptions {
  bool as_bytes = false;  ///< Pass a type that DLPack cannot name as u8 of the same shape.
  int device_id = 0;      ///< Of CUDA memory.
};

/// A view for a framework, without a copy. Packed rows (kBytes) go out as u8.
/// Owner: the caller, who gives it to a framework or calls its `deleter`; `keep_alive` is held until
/// then. It may be empty if the memory outlives the tensor anyway.
/// Errors: kInvalidArgument (an axis of more than 1 without a letter), kUnsupported (a type that the
/// installed DLPack header cannot name: f8, unless `as_bytes`; read-only memory, which it cannot
/// mark as such).
[[nodiscard]] DLManagedTensor* to_dlpack(const KvView& view, std::string_view axes,
                                         std::shared_ptr<const void> keep_alive = nullptr,
                                         const DlpackWriteOptions& options = {});

}  // namespace kvevict
