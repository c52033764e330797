#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvevict/answer_format.h"
#include "kvevict/model.h"
#include "worker.h"

namespace kvevict::python {

/// How an answer is made, token by token. All members, the destructor too, run on the worker of the context,
/// which it must not own.
class AnswerSteps {
 public:
  AnswerSteps() = default;
  AnswerSteps(const AnswerSteps&) = delete;
  AnswerSteps& operator=(const AnswerSteps&) = delete;
  virtual ~AnswerSteps() = default;

  /// Makes the next token and returns the text that it completes, which may be none. REQUIRES: it has not
  /// ended.
  [[nodiscard]] virtual std::string step() = 0;

  /// Ends it where it is, if it goes on, and returns the text that was held back, once.
  [[nodiscard]] virtual std::string stop() = 0;

  /// Why it ended: "model", "length" or "stopped"; null while it goes on.
  [[nodiscard]] virtual const char* end() const = 0;

  /// Without a token that ends it.
  [[nodiscard]] virtual std::vector<Token> tokens() const = 0;

  /// How its text is read as a message; null: it is content alone.
  [[nodiscard]] virtual std::shared_ptr<const AnswerFormat> format() const { return nullptr; }
};

/// What `kvevict.llama.Answer` is: an iterator over the pieces of an answer.
class Answer {
 public:
  Answer(std::shared_ptr<Worker> worker, std::shared_ptr<AnswerSteps> steps);
  ~Answer();
  Answer(Answer&&) noexcept = default;
  Answer& operator=(Answer&&) = delete;

  /// The next piece; nothing at the end. If a signal handler throws, the answer has ended, and what came of
  /// it is the next piece.
  [[nodiscard]] std::optional<std::string> next();

  /// All of it: makes what is left first.
  [[nodiscard]] std::string text();

  /// All of it as a message: its content, thoughts and calls.
  [[nodiscard]] ChatMessage message();

  void stop();
  [[nodiscard]] std::optional<std::string> end() const;
  [[nodiscard]] std::vector<Token> tokens() const;

 private:
  struct State;
  void run_or_stop(const std::function<void()>& work);

  std::shared_ptr<Worker> worker_;
  std::shared_ptr<State> state_;
};

}  // namespace kvevict::python
