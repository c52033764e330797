#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kvevict/answer_draw.h"
#include "runtime/model_run.h"
#include "serving/session_answer.h"

namespace kvevict::serving {

/// A text that is gone on with, in a session of its own that ends with it. Bounded: the text goes in chunk by
/// chunk, and may be as long as it likes.
class TextAnswer final : public SessionAnswer {
 public:
  using OnText = std::function<void(std::string_view)>;

  /// `request.text` is there. Errors: those of Session and AnswerDraw; kInvalidArgument for a text without a
  /// token.
  TextAnswer(const ModelRun& run, const ChatRequest& request, OnText on_text);

  [[nodiscard]] std::int64_t n_prompt_left() const override;
  void take_in() override;
  [[nodiscard]] bool draw() override;
  [[nodiscard]] ChatResult finish() override;

  [[nodiscard]] const SessionTokens& token() const override { return drawn_; }
  void note(const Error& /*error*/) override {}

 private:
  void begin_answer();

  std::shared_ptr<const Model> model_;
  TextPrompt prompt_;
  AnswerOptions form_;
  OnText on_text_;
  Session session_;
  std::size_t n_done_ = 0;  // of the prompt
  std::optional<AnswerDraw> drawing_{};
  Token token_ = 0;
  SessionTokens drawn_{};
  ChatResult result_{};
};

}  // namespace kvevict::serving
