#include "support/failing_new.h"

#include <dlfcn.h>

#include <cstdlib>
#include <new>
#include <string_view>

namespace {

thread_local std::int64_t n_until_failure = 0;
thread_local std::int64_t n_bytes_allocated = 0;

/// Whether the code that allocates is llama.cpp's: what it leaves half done is its own.
bool is_llamas(const void* caller) {
  Dl_info info{};
  if (dladdr(caller, &info) == 0 || info.dli_fname == nullptr) return false;
  const std::string_view file(info.dli_fname);
  return file.find("libllama") != std::string_view::npos || file.find("libggml") != std::string_view::npos;
}

void* allocate(std::size_t n_bytes, const void* caller) {
  n_bytes_allocated += static_cast<std::int64_t>(n_bytes);
  if (n_until_failure > 0 && !is_llamas(caller) && --n_until_failure == 0) throw std::bad_alloc();
  void* const memory = std::malloc(n_bytes == 0 ? 1 : n_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t n_bytes) {
  return allocate(n_bytes, __builtin_return_address(0));
}
void* operator new[](std::size_t n_bytes) {
  return allocate(n_bytes, __builtin_return_address(0));
}
// Those that do not throw too: else a sanitizer's own would allocate what is freed here.
void* operator new(std::size_t n_bytes, const std::nothrow_t&) noexcept try {
  return allocate(n_bytes, __builtin_return_address(0));
} catch (const std::bad_alloc&) {
  return nullptr;
}
void* operator new[](std::size_t n_bytes, const std::nothrow_t&) noexcept try {
  return allocate(n_bytes, __builtin_return_address(0));
} catch (const std::bad_alloc&) {
  return nullptr;
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace kvevict::test {

void fail_allocation(std::int64_t n) noexcept {
  n_until_failure = n;
  n_bytes_allocated = 0;
}

std::int64_t allocated_bytes() noexcept {
  return n_bytes_allocated;
}

}  // namespace kvevict::test
