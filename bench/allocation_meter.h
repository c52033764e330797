#pragma once

#include <cstdint>

namespace bench {

/// Counts from now on what `new` gives out and `delete` takes back, over all threads.
void start_metering() noexcept;

/// The most bytes held at once since then, beyond those held at the start.
std::int64_t peak_bytes() noexcept;

}  // namespace bench
