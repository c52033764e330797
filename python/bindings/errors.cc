#include "bindings.h"
#include "kvevict/error.h"

namespace kvevict::python {
namespace {

PyObject* python_kind(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kBadData:
      return PyExc_ValueError;
    case ErrorCode::kNotFound:
      return PyExc_FileNotFoundError;
    case ErrorCode::kUnsupported:
      return PyExc_NotImplementedError;
    case ErrorCode::kOutOfMemory:
      return PyExc_MemoryError;
    case ErrorCode::kIo:
      return PyExc_OSError;
    case ErrorCode::kCancelled:
    case ErrorCode::kEngine:
      break;
  }
  return PyExc_RuntimeError;
}

}  // namespace

void bind_errors(nb::module_& /*module*/) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      PyErr_SetString(python_kind(error.code()), error.what());
    }
  });
}

}  // namespace kvevict::python
