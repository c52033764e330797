#pragma once

#include <memory>
#include <optional>

#include "kvevict/export.h"
#include "kvevict/session.h"

namespace KVEVICT_PUBLIC kvevict {

/// Why an answer ended.
enum class DrawEnd {
  kNot,      ///< It goes on.
  kByModel,  ///< The model ended it, or its grammar.
  kByText,   ///< A text of `GenerateOptions::stop` came.
  kByLength,
  kByCaller,  ///< `on_token` said so.
};

/// An answer that is drawn token by token, for a program that takes turns between several: what
/// `Session::generate` loops over. It draws, and the caller appends what was drawn:
///
///     AnswerDraw answer(model, options);
///     while (const std::optional<Token> token = answer.next(session)) {
///       session.make_room();
///       session.append({&*token, 1}, {.prefill = PrefillMode::kFull});  // or `append_each`, with others
///     }
///     Generation generation = answer.finish();
///
/// Owner: shares the model. Thread safety: one thread at a time.
class AnswerDraw {
 public:
  /// `options`: `recent` is read here alone; the callbacks live as long as the answer. Errors:
  /// kInvalidArgument for an option out of its range, those of `require_grammar`.
  AnswerDraw(std::shared_ptr<const Model> model, const GenerateOptions& options);
  ~AnswerDraw();
  AnswerDraw(AnswerDraw&&) noexcept;
  AnswerDraw& operator=(AnswerDraw&&) noexcept;

  /// Draws the next token from the session's logits and returns it if it must be appended before the answer
  /// can go on; nothing at the answer's end, whose last token is not appended. Calls `on_token`. What is
  /// drawn depends on the seed, the session's number of tokens, its logits and the tokens before. O(n_vocab).
  /// Errors: kInvalidArgument for a session without logits; kUnsupported if a grammar allows no token to come
  /// next; what `on_token` throws.
  [[nodiscard]] std::optional<Token> next(const Session& session);

  [[nodiscard]] DrawEnd end() const noexcept;

  /// The tokens so far, those of a text of `stop` included, without an end-of-generation token.
  [[nodiscard]] std::span<const Token> tokens() const noexcept;

  /// The text that the last `next` completed, as `on_token` got it; valid until the next call.
  [[nodiscard]] std::string_view last_text() const noexcept;

  /// Ends the answer if it goes on still (`kByCaller`). Gives what was held back to `on_rest`, and returns
  /// all that came. The second time there is nothing any more.
  Generation finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
