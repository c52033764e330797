#include "tensors/mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

std::int64_t page_bytes() noexcept {
  return static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
}

std::int64_t whole_pages(std::int64_t n_bytes) {
  const std::int64_t page = page_bytes();
  return (n_bytes + page - 1) / page * page;
}

[[noreturn]] void refuse_bytes(std::int64_t n_bytes) {
  throw Error(ErrorCode::kOutOfMemory,
              "the system refuses " + std::to_string(n_bytes) + " bytes for a K/V tensor");
}

/// REQUIRES: both bounds on page borders.
std::int64_t resident_within(std::byte* data, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t page = page_bytes();
  std::array<unsigned char, 1024> is_resident{};
  const auto window = static_cast<std::int64_t>(is_resident.size()) * page;
  std::int64_t n_pages = 0;
  for (std::int64_t from = begin; from < end; from += window) {
    const std::int64_t n_bytes = std::min(window, end - from);
    if (::mincore(data + from, static_cast<std::size_t>(n_bytes), is_resident.data()) != 0) return 0;
    n_pages += std::count_if(is_resident.begin(), is_resident.begin() + n_bytes / page,
                             [](unsigned char flags) { return (flags & 1U) != 0; });
  }
  return n_pages * page;
}

}  // namespace

std::int64_t release_pages(std::byte* begin, std::byte* end) noexcept {
  const auto page = static_cast<std::uintptr_t>(page_bytes());
  const std::uintptr_t from = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  const std::uintptr_t to = reinterpret_cast<std::uintptr_t>(end) / page * page;
  if (from >= to) return 0;
  auto* const pages = reinterpret_cast<std::byte*>(from);
  const auto n_bytes = static_cast<std::int64_t>(to - from);
  const std::int64_t n_resident = resident_within(pages, 0, n_bytes);
  if (n_resident == 0) return 0;
  return ::madvise(pages, to - from, MADV_DONTNEED) == 0 ? n_resident : 0;
}

Mapping::Mapping(std::int64_t n_bytes) {
  if (n_bytes <= 0) return;
  void* const pages = ::mmap(nullptr, static_cast<std::size_t>(whole_pages(n_bytes)), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) refuse_bytes(n_bytes);
  data_ = static_cast<std::byte*>(pages);
  n_bytes_ = whole_pages(n_bytes);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, static_cast<std::size_t>(n_bytes_));
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), n_bytes_(std::exchange(other.n_bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(n_bytes_, other.n_bytes_);
  return *this;
}

void Mapping::resize(std::int64_t n_bytes) {
  if (data_ == nullptr || n_bytes <= 0) {
    *this = Mapping(n_bytes);
    return;
  }
  const std::int64_t wanted = whole_pages(n_bytes);
  if (wanted == n_bytes_) return;
  void* const pages =
      ::mremap(data_, static_cast<std::size_t>(n_bytes_), static_cast<std::size_t>(wanted), MREMAP_MAYMOVE);
  if (pages == MAP_FAILED) refuse_bytes(n_bytes);
  data_ = static_cast<std::byte*>(pages);
  n_bytes_ = wanted;
}

std::int64_t Mapping::release(std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t last = std::min(end, n_bytes_);
  return begin < last ? release_pages(data_ + begin, data_ + last) : 0;
}

std::int64_t Mapping::resident_bytes() const noexcept {
  return data_ == nullptr ? 0 : resident_within(data_, 0, n_bytes_);
}

}  // namespace kvevict
