#include "engine/raw_bytes.h"

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace kvevict {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

RawBytes raw_bytes(std::size_t size) {
  const bool is_large = size >= 2 * kHugePage;
  const std::size_t alignment = is_large ? kHugePage : alignof(std::max_align_t);
  const std::size_t n_whole = (size + alignment - 1) / alignment * alignment;
  RawBytes bytes{.data = decltype(RawBytes::data)(static_cast<std::uint8_t*>(
                     std::aligned_alloc(alignment, n_whole == 0 ? alignment : n_whole))),
                 .size = size};
  if (!bytes.data) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (is_large) (void)madvise(bytes.data.get(), n_whole, MADV_HUGEPAGE);  // a wish: small pages do as well
#endif
  return bytes;
}

}  // namespace kvevict
