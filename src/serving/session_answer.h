#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "serving/answer_backend.h"

namespace kvevict::serving {

/// An answer whose tokens go into a session.
class SessionAnswer : public RunningAnswer {
 public:
  /// The session of an answer of which nothing was drawn, for other answers to the same prompt; null if it is
  /// in no pool that could have a copy of it. `prompt`: all tokens that it has seen, then. REQUIRES:
  /// n_prompt_left() == 0.
  [[nodiscard]] virtual Session* pooled_session() = 0;
  [[nodiscard]] virtual std::span<const Token> prompt() const = 0;

  /// What the last `draw` drew. REQUIRES: it must be appended.
  [[nodiscard]] virtual const SessionTokens& token() const = 0;

  /// Its token could not be appended.
  virtual void note(const Error& error) = 0;
};

/// What `AnswerBackend::append` does with answers of sessions. REQUIRES: all of them are.
[[nodiscard]] std::vector<std::optional<Error>> append_tokens(std::span<RunningAnswer* const> answers);

}  // namespace kvevict::serving
