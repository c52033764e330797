#pragma once

// The one place where the version stands: CMake reads these three lines.
#define KVEVICT_VERSION_MAJOR 0
#define KVEVICT_VERSION_MINOR 1
#define KVEVICT_VERSION_PATCH 0

#define KVEVICT_VERSION_TEXT_OF_(major, minor, patch) #major "." #minor "." #patch
#define KVEVICT_VERSION_TEXT_(major, minor, patch) KVEVICT_VERSION_TEXT_OF_(major, minor, patch)

/// The version of these headers: "0.1.0".
#define KVEVICT_VERSION \
  KVEVICT_VERSION_TEXT_(KVEVICT_VERSION_MAJOR, KVEVICT_VERSION_MINOR, KVEVICT_VERSION_PATCH)

#ifdef __cplusplus
#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// The version of the library that the program runs with: not the headers' where a shared library was
/// replaced. Static text. Thread safe.
[[nodiscard]] const char* version() noexcept;

}  // namespace kvevict
#endif
