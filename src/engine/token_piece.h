#pragma once

#include <string>

#include "kvevict/model.h"

namespace kvevict {

/// The bytes that `token` stands for within a text, with the space that it begins with; for a control token
/// its name if `shows_control`, else empty. A character may be divided between several tokens.
[[nodiscard]] std::string token_piece(const Model& model, Token token, bool shows_control = false);

}  // namespace kvevict
