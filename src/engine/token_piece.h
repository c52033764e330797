#pragma once

#include <string>

#include "kvevict/model.h"

namespace kvevict {

/// The bytes that `token` stands for within a text, with the space that it begins with; empty for a control
/// token. A character may be divided between several tokens.
[[nodiscard]] std::string token_piece(const Model& model, Token token);

}  // namespace kvevict
