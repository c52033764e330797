#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kvevict/answer_draw.h"
#include "kvevict/conversation.h"
#include "kvevict/export.h"
#include "runtime/conversation_impl.h"

namespace kvevict {

/// A turn of a conversation in steps, for a program that takes turns between several: what
/// `Conversation::answer_messages` runs to its end.
///
///     AnswerTurn turn(chat, messages, form, on_text);
///     while (turn.n_to_take_in() > 0) turn.take_in();
///     while (const std::optional<SessionTokens> token = turn.draw())
///       Session::append_each({&*token, 1});  // or with those of other turns
///     MessagesAnswer answer = turn.finish();
///
/// It may be left at any place, by an error or by itself: the conversation then has what went in.
/// Owner: the conversation must outlive it, and is its alone until it ended. Thread safety: one thread at a
/// time; if the conversation is in a pool, for all of that.
class KVEVICT_PRIVATE AnswerTurn {
 public:
  using OnText = std::function<void(std::string_view)>;

  /// Compares `messages` with what was seen, and goes back where they contradict it. Errors: those of
  /// `Conversation::answer_messages` for a list, a grammar or a length that cannot be answered; nothing has
  /// changed then.
  AnswerTurn(Conversation& chat, std::span<const ChatMessage> messages, const AnswerOptions& form,
             OnText on_text);

  /// `message` behind what was said, as `Conversation::answer` takes it. Errors: its, and those of
  /// `require_grammar`; nothing has changed then.
  AnswerTurn(Conversation& chat, std::string_view message, const AnswerOptions& form, OnText on_text);

  /// Of a turn that was made already.
  AnswerTurn(Conversation::Impl& chat, NextTurn turn, const AnswerOptions& form, OnText on_text);

  ~AnswerTurn() { close(); }
  AnswerTurn(const AnswerTurn&) = delete;
  AnswerTurn& operator=(const AnswerTurn&) = delete;

  /// Tokens of the messages that are not in the cache yet; none any more once the turn ended.
  [[nodiscard]] std::int64_t n_to_take_in() const;

  /// Appends the next chunk of them (all, in a full prefill). Errors: those of `Session::append`, but
  /// kCancelled, which ends the turn as one that was stopped. REQUIRES: n_to_take_in() > 0.
  void take_in();

  /// The session of a turn that has its messages and no token of its answer yet, to be copied for other
  /// answers to them; null of another turn, and if it is in no pool. `prompt`: all tokens of those messages,
  /// then.
  [[nodiscard]] Session* pooled_session() {
    return phase_ == Phase::kPrompt && n_to_take_in() == 0 && chat_.options.pool ? &chat_.session : nullptr;
  }
  [[nodiscard]] std::span<const Token> prompt() const { return turn_.tokens; }

  /// Draws the next token of the answer, gives its text to `on_text` and makes room for it. The token must be
  /// appended before the next call, and is valid until then; nothing: the answer has ended. Errors: those of
  /// `AnswerDraw` and `Session::make_room`, what `on_text` throws. REQUIRES: n_to_take_in() == 0.
  [[nodiscard]] std::optional<SessionTokens> draw();

  /// The tokens of the answer so far, without one that ends it.
  [[nodiscard]] std::span<const Token> made() const noexcept { return made_; }

  /// Ends the turn, as one that was stopped if it goes on still. Errors: what `on_text` throws.
  [[nodiscard]] MessagesAnswer finish();

  /// Ends the turn where it is, as an error does: takes note of what went in. Nothing happens if it ended.
  void close();

 private:
  enum class Phase { kPrompt, kAnswer, kEnded };

  [[nodiscard]] bool is_cancelled() const;
  [[nodiscard]] std::int64_t n_seen() const { return chat_.session.stats().n_tokens_seen; }
  void require_positions() const;
  void go_back();
  void take_in_chunk();
  void take_in_all();
  void end_prompt();
  void begin_answer();
  void end_answer();
  void give(std::string_view text);

  Conversation::Impl& chat_;
  NextTurn turn_;
  AnswerOptions form_;
  OnText on_text_;
  Phase phase_ = Phase::kEnded;
  bool is_set_back_ = false;
  std::optional<std::int64_t> copied_at_{};  // where a copy of the session is taken
  std::optional<AnswerDraw> drawing_{};
  std::int64_t n_before_answer_ = 0;
  std::vector<Token> made_{};
  bool is_stopped_ = false;
  Token token_ = 0;
  MessagesAnswer answer_{.end = AnswerEnd::kStopped};
};

}  // namespace kvevict
