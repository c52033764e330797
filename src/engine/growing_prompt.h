#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/growing_text.h"
#include "kvevict/prompt_template.h"

namespace kvevict {

/// Tokens of lists of messages of which each mostly begins as the one before did, such as the histories that
/// a client sends with every turn. Neither is rendered nor tokenized again what is long past: a list of 1,000
/// turns takes what one of 20 takes, but for a comparison with the list before.
///
/// Holds the last list, its text and its tokens. Thread safety: one thread at a time.
class GrowingPrompt {
 public:
  /// The same as `model.tokenize(prompt_template.render(messages), true)`. REQUIRES: the model and the
  /// template are the same each time. Errors: theirs.
  [[nodiscard]] std::vector<Token> tokens(const Model& model, const PromptTemplate& prompt_template,
                                          std::span<const ChatMessage> messages);

  /// Messages of all lists that were rendered, and bytes of their texts that were tokenized.
  [[nodiscard]] std::int64_t n_messages_rendered() const noexcept { return n_rendered_; }
  [[nodiscard]] std::int64_t n_bytes_read() const noexcept { return text_.n_bytes_read(); }

 private:
  /// What a text has that goes on from the one before.
  struct End {
    std::size_t n_same;  // bytes at the beginning of both
    std::vector<TextPart> parts;
  };

  [[nodiscard]] std::vector<TextPart> render(const PromptTemplate& prompt_template,
                                             std::span<const ChatMessage> messages);
  [[nodiscard]] std::optional<End> end_of(const PromptTemplate& prompt_template,
                                          std::span<const ChatMessage> before,
                                          std::span<const ChatMessage> messages, std::size_t n_same);

  std::vector<ChatMessage> messages_{};
  GrowingText text_{};
  std::int64_t n_rendered_ = 0;
};

}  // namespace kvevict
