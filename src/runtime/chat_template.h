#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// The model's chat template turn by turn: what a new message adds behind an answer, without the history.
/// A message's own text is never read for control tokens.
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
  struct Frame {
    std::string before, after;  // the template's own text around a message
  };

  [[nodiscard]] std::vector<Token> tokens(const Frame& frame, std::string_view message, bool is_first) const;

  const Model* model_;
  Frame first_, next_;
  std::int64_t n_system_tokens_ = 0;
};

}  // namespace kvevict
