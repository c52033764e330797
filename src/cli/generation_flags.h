#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "kvevict/session_options.h"

namespace kvevict::cli {

/// How much is generated and how the next token is drawn.
struct GenerationFlags {
  std::int64_t max_new_tokens = 256;
  SamplingOptions sampling;
  std::vector<std::string> stop;

  void add_to(CLI::App& app);

  /// Errors: kInvalidArgument.
  void validate() const;
};

}  // namespace kvevict::cli
