#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// Adds `tokens` to `data`, 4 bytes each, little-endian.
void add_tokens(std::string& data, const std::vector<Token>& tokens);

/// Takes the first `n` tokens off `data`. Errors: kBadData if it has fewer.
[[nodiscard]] std::vector<Token> take_tokens(std::string_view& data, std::size_t n);

}  // namespace kvevict
