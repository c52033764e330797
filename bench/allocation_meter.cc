#include "allocation_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> n_held{0};
std::atomic<std::int64_t> n_peak{0};

void* allocate(std::size_t n_bytes) {
  void* const memory = std::malloc(n_bytes == 0 ? 1 : n_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  const std::int64_t held = n_held += static_cast<std::int64_t>(::malloc_usable_size(memory));
  for (std::int64_t peak = n_peak; held > peak && !n_peak.compare_exchange_weak(peak, held);) {
  }
  return memory;
}

void release(void* memory) noexcept {
  if (memory != nullptr) n_held -= static_cast<std::int64_t>(::malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t n_bytes) {
  return allocate(n_bytes);
}
void* operator new[](std::size_t n_bytes) {
  return allocate(n_bytes);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete[](void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  release(memory);
}

namespace bench {

void start_metering() noexcept {
  n_held = 0;
  n_peak = 0;
}

std::int64_t peak_bytes() noexcept {
  return n_peak;
}

}  // namespace bench
