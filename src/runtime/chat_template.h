#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/growing_prompt.h"
#include "kvevict/prompt_template.h"

namespace kvevict {

/// The model's chat template turn by turn: what a new message adds behind an answer, without the history.
/// Thread safety: one thread at a time, for the members that are const, too.
class ChatTemplate {
 public:
  /// Errors: those of PromptTemplate; kUnsupported for a template that leaves messages or answers out.
  ChatTemplate(const Model& model, std::string system, const TemplateOptions& options = {});

  /// From now on every conversation begins with `document`, one in front of what the first user says: the
  /// template's own beginning, the system prompt and the document (`document_text`). Empty: none.
  void begin_with(std::vector<Token> document) { document_ = std::move(document); }

  /// The tokens of the first message, the system prompt included, up to where the answer begins.
  [[nodiscard]] std::vector<Token> first_turn(std::string_view message) const;

  /// The tokens that end the answer before and bring the next message, up to where its answer begins.
  [[nodiscard]] std::vector<Token> next_turn(std::string_view message) const;

  /// The tokens of a whole list of messages, up to where the answer begins.
  [[nodiscard]] std::vector<Token> whole(std::span<const ChatMessage> messages) const;

  /// The tokens that end the answer `messages[n_before - 1]` and bring what comes behind it, up to where the
  /// next answer begins; nothing if the template leaves that answer out. REQUIRES: 0 < n_before <
  /// messages.size().
  [[nodiscard]] std::optional<std::vector<Token>> behind_answer(std::span<const ChatMessage> messages,
                                                                std::size_t n_before) const;

  /// How many tokens at the end of `whole(messages)` open the answer and are written in another way by the
  /// template once the answer is a part of the history. Found by the ends of a long list alone.
  [[nodiscard]] std::size_t count_unsettled(std::span<const ChatMessage> messages) const;

  /// Whether the history has answers in other words than the model gave them: without their thoughts, or
  /// without white space at their ends.
  [[nodiscard]] bool rewrites_answers() const { return rewrites_answers_; }

  /// The system message, if there is one.
  [[nodiscard]] const std::vector<ChatMessage>& opening() const { return opening_; }

  /// Tokens of the system prompt and what opens the first message.
  [[nodiscard]] std::int64_t count_system_tokens() const { return n_system_tokens_; }

  /// The lists that `whole` was asked for, and what was done for them.
  [[nodiscard]] const GrowingPrompt& history() const { return history_; }

 private:
  [[nodiscard]] std::vector<TextPart> parts_behind_an_answer(std::string_view message) const;
  [[nodiscard]] bool finds_answers_rewritten() const;

  PromptTemplate template_;
  const Model* model_;
  mutable GrowingPrompt history_{};  // of `whole`: a list is mostly the one before and more
  std::vector<Token> document_{};
  std::vector<ChatMessage> opening_;
  std::int64_t n_system_tokens_ = 0;
  bool rewrites_answers_ = false;
};

}  // namespace kvevict
