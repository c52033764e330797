#include "kvevict/dlpack.h"

#include <dlpack/dlpack.h>

#include <string>
#include <utility>
#include <vector>

#include "kvevict/error.h"
#include "tensors/refuse.h"

namespace kvevict {
namespace {

constexpr std::string_view kAxes = "bhsd";

void require_axes(std::string_view axes) {
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (kAxes.find(axes[i]) != std::string_view::npos && axes.find(axes[i], i + 1) == std::string_view::npos)
      continue;
    refuse("the axes \"" + std::string(axes) + "\" must be letters of \"bhsd\", each once");
  }
  if (axes.find('s') == std::string_view::npos) {
    refuse("the axes \"" + std::string(axes) + "\" lack s, the sequence");
  }
}

struct SizeAndStride {
  std::int64_t* size;
  std::int64_t* stride;
};

SizeAndStride axis_of(KvShape& shape, KvStrides& strides, char name) {
  switch (name) {
    case 'b':
      return {&shape.batch, &strides.batch};
    case 'h':
      return {&shape.kv_heads, &strides.kv_heads};
    case 's':
      return {&shape.seq, &strides.seq};
    default:
      return {&shape.head_dim, &strides.head_dim};
  }
}

std::string text_of(const DLDataType& type) {
  return "DLPack type code " + std::to_string(type.code) + " of " + std::to_string(type.bits) + " bits and " +
         std::to_string(type.lanes) + " lanes";
}

ElementType named_type(const DLDataType& type) {
  if (type.lanes == 1) {
    if (type.code == kDLFloat && type.bits == 32) return ElementType::kF32;
    if (type.code == kDLFloat && type.bits == 16) return ElementType::kF16;
    if (type.code == kDLBfloat && type.bits == 16) return ElementType::kBf16;
    if (type.code == kDLInt && type.bits == 8) return ElementType::kI8;
    if (type.code == kDLUInt && type.bits == 8) return ElementType::kU8;
  }
  refuse_unsupported("a tensor of " + text_of(type) +
                     " cannot be a K/V tensor: f32, f16, bf16, i8 or u8 is needed");
}

ElementType type_of(const DLDataType& type, const DlpackReadOptions& options) {
  if (!options.bytes_are) return named_type(type);
  const bool is_bytes = (type.code == kDLInt || type.code == kDLUInt) && type.bits == 8 && type.lanes == 1;
  if (is_bytes && element_bytes(*options.bytes_are) == 1) return *options.bytes_are;
  refuse_unsupported("a tensor of " + text_of(type) + " cannot be read as " +
                     std::string(to_string(*options.bytes_are)) +
                     ": that needs one-byte elements on both sides");
}

MemoryKind memory_of(const DLDevice& device) {
  switch (device.device_type) {
    case kDLCPU:
    case kDLCUDAHost:
      return MemoryKind::kHost;
    case kDLCUDA:
    case kDLCUDAManaged:
      return MemoryKind::kCuda;
    default:
      refuse_unsupported("a tensor on DLPack device type " + std::to_string(device.device_type) +
                         " cannot be a K/V tensor: host or CUDA memory is needed");
  }
}

KvView view_of(const DLTensor& tensor, std::string_view axes, const DlpackReadOptions& options) {
  require_axes(axes);
  if (tensor.ndim != static_cast<int>(axes.size()) || tensor.shape == nullptr) {
    refuse("the tensor has " + std::to_string(tensor.ndim) + " axes, but \"" + std::string(axes) +
           "\" names " + std::to_string(axes.size()));
  }
  KvShape shape{1, 1, 1, 1};
  KvStrides strides{0, 0, 0, 1};
  std::uint64_t dense = 1;  // wraps round if a later check refuses the shape
  for (std::size_t i = axes.size(); i-- > 0;) {
    const auto [size, stride] = axis_of(shape, strides, axes[i]);
    *size = tensor.shape[i];
    *stride = tensor.strides == nullptr ? static_cast<std::int64_t>(dense) : tensor.strides[i];
    dense *= static_cast<std::uint64_t>(tensor.shape[i]);
  }
  std::byte* const data =
      tensor.data == nullptr ? nullptr : static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
  const ElementType type = type_of(tensor.dtype, options);
  const MemoryKind memory = memory_of(tensor.device);
  return options.read_only ? KvView::read_only(data, type, shape, strides, memory)
                           : KvView(data, type, shape, strides, memory);
}

DLDataType dlpack_type(ElementType type, bool as_bytes) {
  switch (type) {
    case ElementType::kF32:
      return {kDLFloat, 32, 1};
    case ElementType::kF16:
      return {kDLFloat, 16, 1};
    case ElementType::kBf16:
      return {kDLBfloat, 16, 1};
    case ElementType::kI8:
      return {kDLInt, 8, 1};
    case ElementType::kU8:
    case ElementType::kBytes:
      return {kDLUInt, 8, 1};
    default:
      break;
  }
  if (as_bytes) return {kDLUInt, 8, 1};
  refuse_unsupported("DLPack cannot name " + std::string(to_string(type)) + ": ask for it as bytes");
}

/// What a tensor that was given away stands on.
struct Exported {
  DLManagedTensor tensor{};
  std::vector<std::int64_t> shape, strides;
  std::shared_ptr<const void> keep_alive;
};

}  // namespace

DlpackTensor::DlpackTensor(DLManagedTensor* tensor, std::string_view axes, const DlpackReadOptions& options) {
  if (tensor == nullptr) refuse("there is no DLPack tensor: the pointer is null");
  view_ = view_of(tensor->dl_tensor, axes, options);
  tensor_ = tensor;
}

DlpackTensor::~DlpackTensor() {
  if (tensor_ != nullptr && tensor_->deleter != nullptr) tensor_->deleter(tensor_);
}

DlpackTensor::DlpackTensor(DlpackTensor&& other) noexcept
    : tensor_(std::exchange(other.tensor_, nullptr)), view_(std::exchange(other.view_, KvView())) {}

DlpackTensor& DlpackTensor::operator=(DlpackTensor&& other) noexcept {
  std::swap(tensor_, other.tensor_);
  std::swap(view_, other.view_);
  return *this;
}

DLManagedTensor* to_dlpack(const KvView& view, std::string_view axes, std::shared_ptr<const void> keep_alive,
                           const DlpackWriteOptions& options) {
  require_axes(axes);
  if (view.is_read_only())
    refuse_unsupported("DLPack cannot mark a tensor as read-only: it would be written to");
  KvShape shape = view.shape();
  KvStrides strides = view.strides();
  auto exported = std::make_unique<Exported>();
  for (const char name : kAxes) {
    if (axes.find(name) != std::string_view::npos || *axis_of(shape, strides, name).size == 1) continue;
    refuse("the axes \"" + std::string(axes) + "\" leave out " + name + ", which has " +
           std::to_string(*axis_of(shape, strides, name).size) + " elements");
  }
  for (const char name : axes) {
    exported->shape.push_back(*axis_of(shape, strides, name).size);
    exported->strides.push_back(*axis_of(shape, strides, name).stride);
  }
  exported->keep_alive = std::move(keep_alive);
  const bool on_host = view.memory() == MemoryKind::kHost;
  exported->tensor.dl_tensor = {view.data(),
                                {on_host ? kDLCPU : kDLCUDA, on_host ? 0 : options.device_id},
                                static_cast<int>(axes.size()),
                                dlpack_type(view.type(), options.as_bytes),
                                exported->shape.data(),
                                exported->strides.data(),
                                0};
  exported->tensor.manager_ctx = exported.get();
  exported->tensor.deleter = [](DLManagedTensor* tensor) {
    const std::unique_ptr<Exported> owner(static_cast<Exported*>(tensor->manager_ctx));
  };
  return &exported.release()->tensor;
}

}  // namespace kvevict
