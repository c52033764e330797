// Tensors as Python lends them.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>

#include "bindings.h"
#include "kvevict/error.h"

namespace kvevict::python {
namespace {

using Code = nb::dlpack::dtype_code;

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidArgument, sentence);
}

[[noreturn]] void refuse_type(const std::string& sentence) {
  throw nb::type_error(sentence.c_str());
}

std::string dtype_name(const nb::object& tensor) {
  if (!nb::hasattr(tensor, "dtype")) return {};
  return nb::cast<std::string>(nb::str(nb::object(tensor.attr("dtype"))));
}

bool ends_with(const std::string& text, std::string_view end) {
  return std::string_view(text).ends_with(end);
}

std::optional<ElementType> element_type(nb::dlpack::dtype type) {
  if (type.lanes != 1) return std::nullopt;
  const auto code = static_cast<Code>(type.code);
  if (type.bits == 32 && code == Code::Float) return ElementType::kF32;
  if (type.bits == 16 && code == Code::Float) return ElementType::kF16;
  if (type.bits == 16 && code == Code::Bfloat) return ElementType::kBf16;
  if (type.bits != 8) return std::nullopt;
  switch (code) {
    case Code::Int:
      return ElementType::kI8;
    case Code::UInt:
      return ElementType::kU8;
    case Code::Float8_E5M2:
    case Code::Float8_E5M2FNUZ:
      return ElementType::kF8E5M2;
    case Code::Float8_E3M4:
    case Code::Float8_E4M3:
    case Code::Float8_E4M3B11FNUZ:
    case Code::Float8_E4M3FN:
    case Code::Float8_E4M3FNUZ:
    case Code::Float8_E8M0FNU:
      return ElementType::kF8E4M3;
    default:
      return std::nullopt;
  }
}

/// The same memory under a type that DLPack or numpy can name, and what its elements really are.
struct Nameable {
  nb::object tensor;
  std::optional<ElementType> type;
};

/// numpy cannot export the types of ml_dtypes, and torch could not export 8-bit floats at first.
Nameable nameable(const nb::object& tensor) {
  const std::string dtype = dtype_name(tensor);
  const bool is_numpy = type_name(tensor) == "numpy.ndarray";
  if (is_numpy && dtype == "bfloat16") return {tensor.attr("view")("uint16"), ElementType::kBf16};
  if (dtype.find("float8_") == std::string::npos) return {tensor, std::nullopt};
  const ElementType type =
      dtype.find("e5m2") == std::string::npos ? ElementType::kF8E4M3 : ElementType::kF8E5M2;
  if (is_numpy) return {tensor.attr("view")("uint8"), type};
  if (nb::hasattr(tensor, "requires_grad"))
    return {tensor.attr("view")(nb::module_::import_("torch").attr("uint8")), type};
  return {tensor, std::nullopt};
}

[[noreturn]] void refuse_unreadable(const nb::object& tensor, const char* name) {
  const std::string kind = type_name(tensor);
  const std::string device =
      nb::hasattr(tensor, "device") ? nb::cast<std::string>(nb::str(nb::object(tensor.attr("device")))) : "";
  if (device == "meta") refuse(std::string(name) + " is on the meta device: it has no memory to change");
  if (ends_with(dtype_name(tensor), "object")) refuse_type(std::string(name) + " holds Python objects");
  if (!dtype_name(tensor).empty() && kind == "numpy.ndarray") {
    refuse_type(std::string(name) + " has elements of " + dtype_name(tensor) +
                ": float32, float16, bfloat16, an 8-bit float, int8 or uint8 is needed");
  }
  refuse_type(std::string(name) + " is a " + kind +
              ": a tensor with DLPack is needed (torch, numpy, ...), [batch, kv_heads, seq, head_dim]");
}

[[noreturn]] void refuse_read_only(const nb::object& tensor, const char* name) {
  refuse(std::string(name) + " is a " + type_name(tensor) +
         " that may only be read: it cannot be changed in place, pass a copy that can be written");
}

[[noreturn]] void refuse_unwritable(const nb::object& tensor, const char* name) {
  if (nb::hasattr(tensor, "requires_grad") && nb::cast<bool>(tensor.attr("requires_grad"))) {
    refuse(std::string(name) +
           " requires gradients, which a change in place would make wrong: pass its detach(), or work "
           "under torch.no_grad() with a tensor that does not");
  }
  nb::ndarray<nb::ro> readable;
  if (!nb::try_cast(tensor, readable)) refuse_unreadable(tensor, name);
  refuse_read_only(tensor, name);
}

void require_host(const nb::ndarray<>& array, const nb::object& tensor, const char* name) {
  const int device = array.device_type();
  if (device == nb::device::cpu::value || device == nb::device::cuda_host::value) return;
  const nb::object where =
      nb::hasattr(tensor, "device") ? nb::object(tensor.attr("device")) : nb::object(nb::int_(device));
  throw Error(ErrorCode::kUnsupported,
              std::string(name) + " is on " + nb::cast<std::string>(nb::str(where)) +
                  ": rows are moved in place in host memory alone; use index_select on other devices");
}

}  // namespace

void note_change(const nb::object& tensor) {
  if (!nb::hasattr(tensor, "requires_grad") || nb::cast<bool>(nb::object(tensor.attr("is_inference")())))
    return;
  nb::module_::import_("torch").attr("autograd").attr("graph").attr("increment_version")(tensor);
}

LentTensor lent_tensor(const nb::object& tensor, const char* name) {
  const bool is_immutable = type_name(tensor).starts_with("jax");  // which its DLPack does not say
  if (is_immutable) refuse_read_only(tensor, name);
  const Nameable named = nameable(tensor);
  nb::ndarray<> array;
  const bool needs_gradients = nb::hasattr(tensor, "requires_grad") &&
                               nb::cast<bool>(nb::bool_(nb::object(tensor.attr("requires_grad"))));
  if (needs_gradients || !nb::try_cast(named.tensor, array)) refuse_unwritable(named.tensor, name);
  require_host(array, tensor, name);
  const std::optional<ElementType> type = named.type ? named.type : element_type(array.dtype());
  if (!type) {
    refuse_type(std::string(name) + " has elements of " + dtype_name(tensor) +
                ": float32, float16, bfloat16, an 8-bit float, int8 or uint8 is needed");
  }
  if (array.ndim() != 4) {
    refuse(std::string(name) + " has " + std::to_string(array.ndim()) +
           " axes: 4 are needed, [batch, kv_heads, seq, head_dim]");
  }
  const auto size = [&](std::size_t axis) { return static_cast<std::int64_t>(array.shape(axis)); };
  const KvShape shape{size(0), size(1), size(2), size(3)};
  const KvStrides strides{array.stride(0), array.stride(1), array.stride(2), array.stride(3)};
  return {nb::cast(array), KvView(array.data(), *type, shape, strides)};
}

}  // namespace kvevict::python
