#pragma once

#include <cstdint>

namespace kvevict::test {

/// Makes the n-th allocation by `new` of the calling thread from now on fail, once; 0: none.
void fail_allocation(std::int64_t n) noexcept;

/// Bytes asked of `new` by the calling thread since `fail_allocation` was last called.
std::int64_t allocated_bytes() noexcept;

}  // namespace kvevict::test
