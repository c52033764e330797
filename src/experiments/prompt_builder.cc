#include "experiments/prompt_builder.h"

#include <algorithm>
#include <span>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

/// LongBench's cut: int(max_length / 2) tokens from either end.
std::string cut_middle(const Model& model, const std::vector<Token>& tokens, std::int64_t max_length) {
  const auto half = static_cast<std::size_t>(max_length / 2);
  const std::span<const Token> all(tokens);
  return model.detokenize(all.first(half)) + model.detokenize(all.last(half));
}

class PromptPreparation {
 public:
  PromptPreparation(const Model& model, std::string filled, bool with_chat)
      : model_(model),
        filled_(std::move(filled)),
        with_chat_(with_chat),
        filled_tokens_(model.tokenize(filled_, true, true)) {}

  [[nodiscard]] PreparedPrompt prepare(std::optional<std::int64_t> max_length) const {
    PreparedPrompt prompt;
    prompt.n_tokens_before_cut = static_cast<std::int64_t>(filled_tokens_.size());
    prompt.is_truncated = max_length && prompt.n_tokens_before_cut > *max_length;
    prompt.uses_chat_template = with_chat_;
    prompt.text = prompt.is_truncated ? cut_middle(model_, filled_tokens_, *max_length) : filled_;
    if (with_chat_) {
      const ChatMessage message{"user", prompt.text};
      prompt.text = model_.apply_chat_template({&message, 1});
    }
    prompt.tokens =
        with_chat_ || prompt.is_truncated ? model_.tokenize(prompt.text, true, true) : filled_tokens_;
    return prompt;
  }

 private:
  const Model& model_;
  std::string filled_;
  bool with_chat_;
  std::vector<Token> filled_tokens_;
};

}  // namespace

PreparedPrompt prepare_prompt(const Model& model, const PromptTemplates& templates,
                              const LongBenchDataset& dataset, const LongBenchExample& example,
                              const PromptSettings& settings) {
  const bool by_rule = dataset.uses_chat_template && model.info().has_chat_template;
  const bool with_chat = settings.chat == ChatMode::kOn || (settings.chat == ChatMode::kAuto && by_rule);
  const PromptPreparation preparation(
      model, templates.fill(std::string(dataset.name), example.context, example.input), with_chat);
  PreparedPrompt prompt = preparation.prepare(settings.max_length);
  if (!settings.fits_trained_context) return prompt;
  const std::int64_t n_fitting = model.info().n_context_trained - settings.n_new_tokens;
  std::int64_t max_length = n_fitting;
  // The chat template and the seam of the cut add a few tokens: cut by as many more, until all fits.
  for (int attempt = 0; attempt < 4 && !settings.max_length; ++attempt) {
    const std::int64_t n_over = static_cast<std::int64_t>(prompt.tokens.size()) - n_fitting;
    if (n_over <= 0 || max_length < 2) break;
    max_length -= attempt == 0 ? 0 : n_over;
    prompt = preparation.prepare(std::max<std::int64_t>(max_length, 0));
  }
  if (static_cast<std::int64_t>(prompt.tokens.size()) > n_fitting) {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt of " + std::string(dataset.name) + " example " + example.id + " has " +
                    std::to_string(prompt.tokens.size()) + " tokens, which with " +
                    std::to_string(settings.n_new_tokens) + " new ones is more than the " +
                    std::to_string(model.info().n_context_trained) + " that " + model.info().name +
                    " was trained on: cut the prompt shorter, or ask for fewer new tokens",
                "max_length");
  }
  return prompt;
}

}  // namespace kvevict::eval
