#pragma once

#include <string>

#include "kvevict/error.h"

namespace kvevict {

/// Throws `Error(kInvalidArgument)` with the sentence.
[[noreturn]] inline void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidArgument, sentence);
}

/// Throws `Error(kUnsupported)` with the sentence.
[[noreturn]] inline void refuse_unsupported(const std::string& sentence) {
  throw Error(ErrorCode::kUnsupported, sentence);
}

}  // namespace kvevict
