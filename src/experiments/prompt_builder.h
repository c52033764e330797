#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/longbench_reader.h"
#include "experiments/prompt_templates.h"
#include "kvevict/model.h"
#include "results/longbench_dataset.h"

namespace kvevict::eval {

enum class ChatMode {
  kAuto,  ///< LongBench's rule of the data set, if the model has a template.
  kOn,
  kOff,
};

/// A prompt as the model gets it. Counts in tokens.
struct PreparedPrompt {
  std::string text;
  std::vector<Token> tokens;
  std::int64_t n_tokens_before_cut = 0;  ///< Of the filled template, before any cut and chat template.
  bool is_truncated = false;
  bool uses_chat_template = false;
};

struct PromptSettings {
  ChatMode chat = ChatMode::kAuto;
  std::int64_t n_new_tokens = 0;  ///< Room to leave for the answer.
  std::optional<std::int64_t>
      max_length;  ///< Most tokens of the filled template; else what fits the trained context.
  bool fits_trained_context =
      true;  ///< false: a prompt without `max_length` is never cut, and may be longer.
};

/// Fills the template, cuts the middle out of a prompt that is too long, and applies the chat
/// template, as LongBench's pred.py does: the first and the last half of `max_length` tokens are
/// decoded without special tokens and joined; the chat template comes after the cut. Without a
/// `max_length` the cut is such that prompt, chat template and answer fit the trained context.
/// Errors: kInvalidArgument if prompt and answer cannot fit the trained context.
[[nodiscard]] PreparedPrompt prepare_prompt(const Model& model, const PromptTemplates& templates,
                                            const LongBenchDataset& dataset, const LongBenchExample& example,
                                            const PromptSettings& settings);

}  // namespace kvevict::eval
