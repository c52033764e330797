#pragma once

#include <cstdint>

namespace kvevict {

/// Memory of this process that is in RAM now, in bytes; 0 if the system does not say.
[[nodiscard]] std::int64_t resident_bytes();

/// The most that `resident_bytes` has been.
[[nodiscard]] std::int64_t peak_resident_bytes();

/// Processor time that this process has used, over all threads.
[[nodiscard]] double cpu_seconds();

}  // namespace kvevict
