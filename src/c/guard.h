#pragma once

#include <string>

#include "kvevict/error.h"
#include "kvevict/export.h"
#include "kvevict/kvevict_c.h"

namespace kvevict::c {

/// The status of the exception that is being handled; its sentence becomes `kvevict_last_error`.
/// Visible, though no public header has it: the part for llama.cpp may be in another shared library, and a
/// thread has one last error.
KVEVICT_PUBLIC kvevict_status status_of_current_exception() noexcept;

/// Runs `body`; every function of the C interface goes through it, so that no exception leaves one.
template <typename Body>
kvevict_status guarded(Body body) noexcept {
  try {
    body();
    return KVEVICT_OK;
  } catch (...) {
    return status_of_current_exception();
  }
}

/// Throws if `pointer` is null. `what`: the parameter's name.
inline void require(const void* pointer, const char* function, const char* what) {
  if (pointer != nullptr) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(function) + ": " + what + " is NULL, and a valid pointer is needed", what);
}

/// As `guarded`, for a function that hands what `make` returns to its caller: `*out` is null if it throws.
template <typename Handle, typename Make>
kvevict_status guarded_handle(Handle** out, const char* function, const char* what, Make make) noexcept {
  return guarded([&] {
    require(out, function, what);
    *out = nullptr;
    *out = make().release();
  });
}

}  // namespace kvevict::c
