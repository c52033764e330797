#pragma once

#include <span>
#include <string>

#include "kvevict/keep_set.h"
#include "kvevict/model.h"

namespace kvevict {

/// The text of `tokens`, whose first has index 0, the parts that `held` lacks dimmed (on a terminal), or
/// between "[-" and "-]"; long evicted parts are shortened.
[[nodiscard]] std::string kept_text(const Model& model, std::span<const Token> tokens, const KeepSet& held,
                                    bool for_terminal);

}  // namespace kvevict
