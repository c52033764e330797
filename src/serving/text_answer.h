#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kvevict/answer_draw.h"
#include "serving/conversation_places.h"
#include "serving/session_answer.h"

namespace kvevict::serving {

/// A text that is gone on with, in a session that ends with it. Bounded: the text goes in chunk by chunk, and
/// may be as long as it likes.
class TextAnswer final : public SessionAnswer {
 public:
  using OnText = std::function<void(std::string_view)>;

  /// `session`: of `model`; empty, or has seen the text's beginning. `place` is let go behind it.
  /// `request.text` is there. Errors: kInvalidArgument for a text without a token.
  TextAnswer(std::shared_ptr<const Model> model, PlacedSession session, std::shared_ptr<void> place,
             const ChatRequest& request, OnText on_text);

  [[nodiscard]] std::int64_t n_prompt_left() const override;
  void take_in() override;
  [[nodiscard]] bool draw() override;
  [[nodiscard]] std::int64_t n_drawn() const override {
    return drawing_ ? std::ssize(drawing_->tokens()) : 0;
  }
  [[nodiscard]] ChatResult finish() override;

  [[nodiscard]] Session* pooled_session() override { return is_in_pool_ ? &session_ : nullptr; }
  [[nodiscard]] std::span<const Token> prompt() const override { return prompt_.tokens; }
  [[nodiscard]] const SessionTokens& token() const override { return drawn_; }
  void note(const Error& /*error*/) override {}

 private:
  void begin_answer();

  std::shared_ptr<const Model> model_;
  std::shared_ptr<void> place_;  // before the session, so that it is destroyed behind it
  TextPrompt prompt_;
  AnswerOptions form_;
  OnText on_text_;
  Session session_;
  bool is_in_pool_;
  std::size_t n_done_;                 // of the prompt
  std::int64_t n_evicted_before_ = 0;  // of a session that is a copy of another
  std::optional<AnswerDraw> drawing_{};
  Token token_ = 0;
  SessionTokens drawn_{};
  ChatResult result_{};
};

}  // namespace kvevict::serving
