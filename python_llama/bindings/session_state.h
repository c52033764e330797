#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "answers.h"
#include "kvevict/answer_draw.h"
#include "kvevict/answer_options.h"
#include "kvevict/session.h"

namespace kvevict::python {

class SessionSteps;

/// A session and what goes on in it. Touched on the worker of its context alone, which it must not own.
class SessionState {
 public:
  SessionState(std::shared_ptr<const Model> model, Session session);

  /// The session, once an answer that is under way has ended and its last token is in the cache: before every
  /// change.
  [[nodiscard]] Session& settled();

  /// The same without that token, which is forgotten.
  [[nodiscard]] Session& emptied();

  /// As it is.
  [[nodiscard]] const Session& session() const noexcept { return session_; }

  /// `Session::append`.
  void append(std::span<const Token> tokens);

  /// Takes in a prompt (empty: none) and begins an answer to it, of `self`.
  [[nodiscard]] static std::shared_ptr<SessionSteps> begin(const std::shared_ptr<SessionState>& self,
                                                           std::span<const Token> prompt,
                                                           const AnswerOptions& form);

  /// Another one that goes on from here, with a policy of its own if one is given.
  [[nodiscard]] std::shared_ptr<SessionState> fork(std::shared_ptr<const Policy> policy);

 private:
  friend class SessionSteps;
  void append_waiting();
  void note(std::span<const Token> tokens);
  void take_in(std::span<const Token> tokens, const std::function<void(Session&)>& append);

  std::shared_ptr<const Model> model_;
  Session session_;
  std::vector<Token> recent_{};     // that penalties count
  std::optional<Token> waiting_{};  // drawn, not appended
  std::weak_ptr<SessionSteps> answer_{};
};

/// An answer of a session.
class SessionSteps final : public AnswerSteps {
 public:
  SessionSteps(std::shared_ptr<SessionState> state, const GenerateOptions& options);

  [[nodiscard]] std::string step() override;
  [[nodiscard]] std::string stop() override;
  [[nodiscard]] const char* end() const override { return end_; }
  [[nodiscard]] std::vector<Token> tokens() const override;

  /// `stop`, whose text is asked for later.
  void close();

 private:
  [[nodiscard]] GenerateOptions with_rest(GenerateOptions options);

  std::shared_ptr<SessionState> state_;
  std::string rest_{};
  AnswerDraw drawing_;
  std::vector<Token> tokens_{};
  const char* end_ = nullptr;
};

}  // namespace kvevict::python
