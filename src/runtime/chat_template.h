#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// The model's chat template turn by turn: what a new message adds behind an answer, without the history.
/// The texts of messages and of the system prompt are never read for control tokens.
class ChatTemplate {
 public:
  /// Errors: kUnsupported for a model without a template that llama.cpp knows, or with one whose later turns
  /// cannot be told from its earlier ones.
  ChatTemplate(const Model& model, std::string system);

  /// The tokens of the first message, the system prompt included, up to where the answer begins.
  [[nodiscard]] std::vector<Token> first_turn(std::string_view message) const;

  /// The tokens that end the answer before and bring the next message, up to where its answer begins.
  [[nodiscard]] std::vector<Token> next_turn(std::string_view message) const;

  /// Tokens of the system prompt and what opens the first message.
  [[nodiscard]] std::int64_t count_system_tokens() const { return n_system_tokens_; }

 private:
  [[nodiscard]] std::vector<ChatMessage> one_turn(std::string_view message) const;
  [[nodiscard]] std::vector<ChatMessage> two_turns(std::string_view message) const;
  [[nodiscard]] std::vector<TextPart> first_parts(std::string_view message) const;

  const Model* model_;
  std::string system_;
  std::size_t n_parts_before_next_ = 0;  // of two turns, up to the end of the first answer
  std::int64_t n_system_tokens_ = 0;
};

}  // namespace kvevict
