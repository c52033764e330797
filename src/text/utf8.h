#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvevict {

/// Length of the longest prefix of `bytes` that is valid UTF-8 and ends at a code point. `is_broken`
/// says whether what follows is wrong, rather than a character that has not arrived in full.
struct Utf8Prefix {
  std::size_t n_bytes = 0;
  bool is_broken = false;
};
[[nodiscard]] Utf8Prefix valid_utf8_prefix(std::string_view bytes);

/// Errors: kBadData if `text` is not UTF-8, naming it by `name` and the first byte that is wrong,
/// counted from `n_before` on.
void require_utf8(std::string_view text, const std::string& name, std::int64_t n_before = 0);

}  // namespace kvevict
