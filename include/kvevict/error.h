#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// What kind of thing went wrong. The command line maps `kInvalidArgument` to exit code 2
/// (usage) and everything else to exit code 1 (run time).
enum class ErrorCode {
  kInvalidArgument,  ///< A value that the caller gave is impossible: a negative count, an unknown name.
  kNotFound,         ///< A file, a data set or a model that should be there is not.
  kBadData,          ///< A file is there but its content is not what it should be.
  kUnsupported,      ///< The model, the cache or the build cannot do what was asked.
  kOutOfMemory,      ///< An allocation that the request needs was refused.
  kIo,               ///< Reading or writing failed (permissions, a full disk).
  kCancelled,        ///< The caller asked to stop.
  kEngine,           ///< llama.cpp reported a failure that none of the above names.
};

/// The one exception type of the library. `what()` is one sentence that names the input, says
/// what is wrong with it and what would be right. The library never prints, exits or aborts.
class Error : public std::runtime_error {
 public:
  /// `field`: the option that the sentence is about, by its name in the options or the strategy
  /// ("recent_tokens", "positions"); empty if it is about none. A command line or a binding turns it into its
  /// own spelling.
  Error(ErrorCode code, const std::string& sentence, std::string field = {})
      : std::runtime_error(sentence), code_(code), field_(std::move(field)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& field() const noexcept { return field_; }

 private:
  ErrorCode code_;
  std::string field_;
};

}  // namespace kvevict
