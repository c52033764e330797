#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvevict/prompt_template.h"

namespace kvevict {

/// The model's chat template turn by turn: what a new message adds behind an answer, without the history.
class ChatTemplate {
 public:
  /// Errors: those of PromptTemplate; kUnsupported for a template that leaves messages or answers out.
  ChatTemplate(const Model& model, std::string system, const TemplateOptions& options = {});

  /// The tokens of the first message, the system prompt included, up to where the answer begins.
  [[nodiscard]] std::vector<Token> first_turn(std::string_view message) const;

  /// The tokens that end the answer before and bring the next message, up to where its answer begins.
  [[nodiscard]] std::vector<Token> next_turn(std::string_view message) const;

  /// Tokens of the system prompt and what opens the first message.
  [[nodiscard]] std::int64_t count_system_tokens() const { return n_system_tokens_; }

 private:
  [[nodiscard]] std::vector<TextPart> parts_behind_an_answer(std::string_view message) const;

  PromptTemplate template_;
  std::vector<ChatMessage> opening_;  // the system message, if there is one
  std::int64_t n_system_tokens_ = 0;
};

}  // namespace kvevict
