#pragma once

#include <string_view>

#include "kvevict/model.h"

namespace kvevict {

/// A control token and how it is written.
struct ControlToken {
  std::string_view text;  ///< The vocabulary's.
  Token token;
};

}  // namespace kvevict
