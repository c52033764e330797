#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "kvevict/model.h"
#include "kvevict/sampling.h"

namespace kvevict::cli {

/// How much is generated and how the next token is drawn.
struct GenerationFlags {
  std::int64_t max_new_tokens = 256;
  SamplingOptions sampling;
  std::vector<std::string> stop;
  std::string grammar_file, json_schema_file;

  void add_to(CLI::App& app);

  /// Errors: kInvalidArgument.
  void validate() const;

  /// What answers must look like; empty if nothing was asked for. Errors: of read_text; those of
  /// require_grammar and grammar_of_json_schema, with the file's name.
  [[nodiscard]] std::string grammar(const Model& model) const;
};

}  // namespace kvevict::cli
