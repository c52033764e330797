#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace kvevict {

/// Bytes that were not set to zero before something was written into them, as those of a vector are.
struct RawBytes {
  struct Free {
    void operator()(std::uint8_t* bytes) const noexcept { std::free(bytes); }
  };

  std::unique_ptr<std::uint8_t[], Free> data{};
  std::size_t size = 0;
};

/// Room for `size` bytes. Large ones are asked for in huge pages: a page that is touched for the first time
/// costs more than what is written into it. Throws std::bad_alloc.
[[nodiscard]] RawBytes raw_bytes(std::size_t size);

}  // namespace kvevict
