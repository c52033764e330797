#pragma once

#include <cstddef>
#include <cstdint>

namespace kvevict {

/// Gives the whole pages within [begin, end) back to the system: private memory reads as zero again.
/// Returns the bytes of those pages that were resident; 0 if the system keeps them.
std::int64_t release_pages(std::byte* begin, std::byte* end) noexcept;

/// Pages of the operating system's, zero when first read and resident only once touched.
class Mapping {
 public:
  Mapping() = default;

  /// Errors: kOutOfMemory.
  explicit Mapping(std::int64_t n_bytes);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::int64_t size() const noexcept { return n_bytes_; }  ///< Whole pages.

  /// Makes it longer or shorter without copying a page; its address may change.
  /// Errors: kOutOfMemory; the mapping is then as it was.
  void resize(std::int64_t n_bytes);

  /// `release_pages` of its bytes [begin, end).
  std::int64_t release(std::int64_t begin, std::int64_t end) noexcept;

  [[nodiscard]] std::int64_t resident_bytes() const noexcept;

 private:
  std::byte* data_ = nullptr;
  std::int64_t n_bytes_ = 0;
};

}  // namespace kvevict
