#include "text/utf8.h"

#include <unicode/utf8.h>

#include <algorithm>

#include "kvevict/error.h"

namespace kvevict {

Utf8Prefix valid_utf8_prefix(std::string_view bytes) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  constexpr std::size_t kLongest = 4;
  Utf8Prefix prefix;
  while (prefix.n_bytes < bytes.size()) {
    const std::size_t n_left = bytes.size() - prefix.n_bytes;
    std::int32_t offset = 0;
    UChar32 c = 0;
    U8_NEXT(data + prefix.n_bytes, offset, static_cast<std::int32_t>(std::min(n_left, kLongest)), c);
    if (c < 0) {
      // ICU stops where a sequence turns wrong: at the end of the bytes it may still become right.
      prefix.is_broken = static_cast<std::size_t>(offset) < n_left || U8_IS_SINGLE(bytes.back()) ||
                         n_left >= kLongest || !U8_IS_LEAD(data[prefix.n_bytes]);
      return prefix;
    }
    prefix.n_bytes += static_cast<std::size_t>(offset);
  }
  return prefix;
}

void require_utf8(std::string_view text, const std::string& name, std::int64_t n_before) {
  const std::size_t n_valid = valid_utf8_prefix(text).n_bytes;
  if (n_valid == text.size()) return;
  throw Error(ErrorCode::kBadData, name + " is not UTF-8 at byte " +
                                       std::to_string(n_before + static_cast<std::int64_t>(n_valid)) +
                                       ": convert it first (iconv -f latin1 -t utf-8, say)");
}

}  // namespace kvevict
