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
  PromptPreparation(const Model& model, FilledPrompt filled, bool with_chat, QuestionOrder order)
      : model_(model),
        filled_(std::move(filled.text)),
        context_end_(filled.context_end),
        with_chat_(with_chat),
        holds_back_(order == QuestionOrder::kAfter),
        filled_tokens_(model.tokenize(filled_, true, true)) {
    if (holds_back_ && !context_end_) {
      throw Error(ErrorCode::kBadData,
                  "the prompt's template has no {context}: a question that comes after the eviction is what "
                  "stands behind it");
    }
  }

  [[nodiscard]] PreparedPrompt prepare(std::optional<std::int64_t> max_length) const {
    PreparedPrompt prompt;
    prompt.n_tokens_before_cut = static_cast<std::int64_t>(filled_tokens_.size());
    prompt.is_truncated = max_length && prompt.n_tokens_before_cut > *max_length;
    prompt.uses_chat_template = with_chat_;
    prompt.text = prompt.is_truncated ? cut_middle(model_, filled_tokens_, *max_length) : filled_;
    std::size_t context_end = !holds_back_          ? 0
                              : prompt.is_truncated ? context_end_after_cut(*max_length)
                                                    : *context_end_;
    if (with_chat_) {
      const ChatMessage message{"user", prompt.text};
      const std::string content = std::move(prompt.text);
      prompt.text = model_.apply_chat_template({&message, 1});
      if (holds_back_) context_end = place_in_chat(prompt.text, content, context_end);
    }
    prompt.tokens =
        with_chat_ || prompt.is_truncated ? model_.tokenize(prompt.text, true, true) : filled_tokens_;
    if (holds_back_)
      prompt.n_question_tokens =
          count_question_tokens(model_, prompt.tokens, prompt.text.substr(0, context_end));
    return prompt;
  }

 private:
  /// Where the context ends in what `cut_middle` leaves, in bytes.
  [[nodiscard]] std::size_t context_end_after_cut(std::int64_t max_length) const {
    const std::int64_t n_question =
        *context_end_ == filled_.size()
            ? 0  // all of it comes from the chat template
            : count_question_tokens(model_, filled_tokens_, filled_.substr(0, *context_end_));
    const std::int64_t half = max_length / 2;
    if (n_question > half) {
      throw Error(ErrorCode::kInvalidArgument,
                  "a prompt cut to " + std::to_string(max_length) + " tokens keeps its last " +
                      std::to_string(half) + ", but its question alone has " + std::to_string(n_question) +
                      ", none of which may be lost: cut the prompt to " + std::to_string(2 * n_question) +
                      " tokens or more",
                  "max_length");
    }
    const std::span<const Token> all(filled_tokens_);
    const std::span<const Token> end = all.last(static_cast<std::size_t>(half));
    return model_.detokenize(all.first(static_cast<std::size_t>(half))).size() +
           model_.detokenize(end.first(static_cast<std::size_t>(half - n_question))).size();
  }

  /// The place in `rendered` of byte `at` of `content`, whose ends a template may have trimmed.
  [[nodiscard]] std::size_t place_in_chat(const std::string& rendered, const std::string& content,
                                          std::size_t at) const {
    constexpr const char* kSpaces = " \t\r\n";
    const std::size_t from = std::min(content.find_first_not_of(kSpaces), content.size());
    const std::size_t to = content.find_last_not_of(kSpaces) + 1;
    const std::size_t found = from < to ? rendered.rfind(content.substr(from, to - from)) : std::string::npos;
    if (found == std::string::npos) {
      throw Error(ErrorCode::kUnsupported,
                  "the chat template of " + model_.info().name +
                      " changes a prompt's text, so that it cannot be told where the question begins: "
                      "prompts without a chat template can have their question after the eviction");
    }
    return found + std::clamp(at, from, to) - from;
  }

  const Model& model_;
  std::string filled_;
  std::optional<std::size_t> context_end_;
  bool with_chat_;
  bool holds_back_;
  std::vector<Token> filled_tokens_;
};

}  // namespace

PreparedPrompt prepare_prompt(const Model& model, const PromptTemplates& templates,
                              const LongBenchDataset& dataset, const LongBenchExample& example,
                              const PromptSettings& settings) {
  const bool by_rule = dataset.uses_chat_template && model.info().has_chat_template;
  const bool with_chat = settings.chat == ChatMode::kOn || (settings.chat == ChatMode::kAuto && by_rule);
  const PromptPreparation preparation(
      model, templates.fill(std::string(dataset.name), example.context, example.input), with_chat,
      settings.question);
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
