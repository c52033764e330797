#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/document_flags.h"
#include "cli/engine_flags.h"
#include "cli/generation_flags.h"
#include "cli/prompt_flags.h"
#include "cli/strategy_flags.h"
#include "kvevict/model.h"

namespace kvevict::cli {

struct GenerateFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  GenerationFlags generation;
  std::string prompt, file;
  std::string special = "off";
  std::optional<std::int64_t> max_length;
  bool chat = false;
  PromptFlags messages;
  DocumentFlags document;
  bool verbose = false;
};

/// The prompt as a text, its middle cut out if --max_length asks for it; with `tokens`, also as the tokens of
/// a text that is no message. Errors: those of joined_prompt.
[[nodiscard]] std::string prompt_text(const GenerateFlags& flags, const Model& model,
                                      std::vector<Token>* tokens = nullptr);

/// `generate` with --then, --then_file, --save or --load.
void run_document(const GenerateFlags& flags);

/// Counts per second; 0 for no time.
[[nodiscard]] double per_second(std::int64_t n, double seconds);

}  // namespace kvevict::cli
