#pragma once

#include "kvevict/error.h"

namespace kvevict {

/// Whether the exception that is being handled is the one of a caller who asked to stop. REQUIRES: within a
/// handler.
[[nodiscard]] inline bool is_cancellation_under_way() {
  try {
    throw;
  } catch (const Error& error) {
    return error.code() == ErrorCode::kCancelled;
  } catch (...) {
    return false;
  }
}

}  // namespace kvevict
