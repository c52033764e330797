#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/held_back_question.h"
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
  /// The last so many tokens are held back until the eviction is done (`QuestionOrder::kAfter`); 0: none.
  std::int64_t n_question_tokens = 0;

  /// The tokens that the eviction's plan is made for.
  [[nodiscard]] std::span<const Token> context() const {
    return std::span(tokens).first(tokens.size() - static_cast<std::size_t>(n_question_tokens));
  }
  [[nodiscard]] std::span<const Token> question() const {
    return std::span(tokens).last(static_cast<std::size_t>(n_question_tokens));
  }
};

struct PromptSettings {
  ChatMode chat = ChatMode::kAuto;
  std::int64_t n_new_tokens = 0;  ///< Room to leave for the answer.
  std::optional<std::int64_t>
      max_length;  ///< Most tokens of the filled template; else what fits the trained context.
  bool fits_trained_context =
      true;  ///< false: a prompt without `max_length` is never cut, and may be longer.
  QuestionOrder question = QuestionOrder::kBefore;
};

/// Fills the template, cuts the middle out of a prompt that is too long, and applies the chat
/// template, as LongBench's pred.py does: the first and the last half of `max_length` tokens are
/// decoded without special tokens and joined; the chat template comes after the cut. Without a
/// `max_length` the cut is such that prompt, chat template and answer fit the trained context.
/// The tokens are the same in either order of the question, which is all that follows the context: of the
/// template and of the chat template. The cut never takes any of a question that is held back.
/// Errors: kInvalidArgument if prompt and answer cannot fit the trained context; of a question that is held
/// back, if the cut would take some of it or there is none, kUnsupported if the chat template changes the
/// text.
[[nodiscard]] PreparedPrompt prepare_prompt(const Model& model, const PromptTemplates& templates,
                                            const LongBenchDataset& dataset, const LongBenchExample& example,
                                            const PromptSettings& settings);

}  // namespace kvevict::eval
