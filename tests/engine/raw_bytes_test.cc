#include "engine/raw_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kvevict {
namespace {

TEST(RawBytes, HoldWhatIsWrittenAtEverySize) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{4096}, (std::size_t{4} << 20) - 1, std::size_t{4} << 20,
        (std::size_t{5} << 20) + 3}) {
    RawBytes bytes = raw_bytes(size);
    ASSERT_EQ(bytes.size, size);
    ASSERT_NE(bytes.data, nullptr);
    std::fill_n(bytes.data.get(), size, std::uint8_t{0xA5});
    EXPECT_EQ(std::count(bytes.data.get(), bytes.data.get() + size, 0xA5), static_cast<std::ptrdiff_t>(size));
  }
}

}  // namespace
}  // namespace kvevict
