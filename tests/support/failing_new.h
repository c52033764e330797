#pragma once

#include <cstdint>

namespace kvevict::test {

/// Makes the n-th allocation by `new` of the calling thread from now on fail, once; 0: none. Allocations of
/// llama.cpp's own code are not counted and do not fail.
void fail_allocation(std::int64_t n) noexcept;

/// Bytes asked of `new` by the calling thread since `fail_allocation` was last called.
std::int64_t allocated_bytes() noexcept;

}  // namespace kvevict::test
