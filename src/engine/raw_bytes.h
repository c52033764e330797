#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kvevict {

/// Bytes that were not set to zero before something was written into them, as those of a vector are.
struct RawBytes {
  std::unique_ptr<std::uint8_t[]> data;
  std::size_t size = 0;
};

}  // namespace kvevict
