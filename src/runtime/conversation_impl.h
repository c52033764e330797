#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session_snapshot.h"
#include "kvevict/conversation.h"
#include "runtime/chat_template.h"
#include "runtime/recorded_message.h"
#include "runtime/saved_chat.h"
#include "runtime/turn_snapshots.h"

namespace kvevict {

/// What a conversation shall have seen when the next answer begins.
struct NextTurn {
  std::vector<Token> tokens;   ///< All of them, from the first; what was seen already in the tokens of then.
  std::size_t n_same = 0;      ///< How many at the beginning were seen or wait.
  std::vector<Token> given{};  ///< Of a list: as the tokenizer reads it.
  /// How many at the end the template writes in another way later; nothing: nobody will go back there.
  std::optional<std::size_t> n_unsettled{};
  std::vector<RecordedMessage> messages{};  ///< The same as messages; empty if they are not known.
  std::int64_t n_turns = 0;

  /// Once the conversation went back to its first `n_tokens` tokens: those behind them are read anew, as in a
  /// conversation that never had them.
  void read_anew(const Model& model, std::size_t n_tokens);
};

struct KVEVICT_PRIVATE Conversation::Impl {
  using OnText = std::function<void(std::string_view)>;

  std::shared_ptr<const Model> model;
  std::shared_ptr<const Policy> policy;
  ConversationOptions options;
  ChatTemplate chat_template;
  Session session;
  TurnSnapshots snapshots;
  std::vector<Token> seen{};
  std::vector<Token> waiting{};             // of the conversation, not yet in the cache
  std::vector<RecordedMessage> messages{};  // of the conversation, if they are known
  bool takes_lists = false;                 // whether the program brought a list of messages
  bool can_trim = true;                     // no model with a state can; others until the session says so
  std::int64_t n_turns = 0;
  SessionStats past{};                                 // of what the session went back from
  std::optional<ChatDocument> document{};              // that the conversation is about
  std::optional<SessionSnapshot> document_snapshot{};  // of it alone, for models that cannot be trimmed
  std::string model_sha256{};

  /// What the options say of an answer.
  [[nodiscard]] AnswerOptions own_form() const;

  /// A message behind what was said, in what the template adds to it, and up to `n_new_tokens` of an answer.
  [[nodiscard]] NextTurn turn_of(std::string_view message, std::int64_t n_new_tokens) const;

  /// A whole list of messages, compared with what was said.
  [[nodiscard]] NextTurn turn_of(std::span<const ChatMessage> list, std::int64_t n_new_tokens) const;

  /// Goes back as far as `turn` asks for, decodes the rest of it, and lets the model answer.
  MessagesAnswer go_on(NextTurn turn, const AnswerOptions& form, const OnText& on_text);

  /// A message as a program brought it, which is looked at first: its text, and the grammar of `form`.
  [[nodiscard]] NextTurn turn_of_message(std::string_view message, const AnswerOptions& form) const;

  /// A list as a program brought it, which is looked at first: its texts, and the grammar of `form`.
  [[nodiscard]] NextTurn turn_of_list(std::span<const ChatMessage> list, const AnswerOptions& form);

  /// A conversation that has seen nothing. Errors: those of require_grammar and ChatTemplate.
  [[nodiscard]] static std::unique_ptr<Impl> make(std::shared_ptr<const Model> model,
                                                  std::shared_ptr<const Policy> policy,
                                                  ConversationOptions options, Session session);

  /// Sets the session back to the first `n_tokens` tokens that were seen, or to fewer. A copy of a turn may
  /// be one token further on, with the logits that an answer begins with.
  void go_back(std::size_t n_tokens, std::size_t n_tokens_of_a_copy);

  /// Takes note of what of `turn` was appended. What of a begun turn was not appended waits for the next one;
  /// a turn that was not begun is dropped.
  void remember(NextTurn&& turn, bool is_set_back);

  /// Forgets all turns, but not the document. Errors: as `Conversation::reset`; nothing has changed then.
  void go_to_beginning();

  /// An empty session, in the pool if there is one. Errors: those of Session and `SessionPool::open`.
  [[nodiscard]] Session open_session() const;

  /// Puts a session that goes on from `snapshot` in place of the one that is there, whose cells or place in
  /// the pool go first. Errors: those of `Session::restore`; the session is empty then.
  void replace_session(const SessionSnapshot& snapshot);

  /// Tokens of the document; 0 without one.
  [[nodiscard]] std::int64_t n_document() const { return document ? document->n_tokens : 0; }

  [[nodiscard]] const std::string& checksum();

  /// As the session's, with `past`.
  [[nodiscard]] SessionStats stats() const;

 private:
  /// Whether a new message is a list of all of them: the template may have changed those before.
  [[nodiscard]] bool goes_by_list() const;

  /// Whether nothing was said yet.
  [[nodiscard]] bool is_at_beginning() const {
    return waiting.empty() && static_cast<std::int64_t>(seen.size()) == n_document();
  }
  [[nodiscard]] std::vector<Token> all_tokens() const;
  [[nodiscard]] std::vector<Token> tokens_of(std::span<const ChatMessage> list) const;

  [[nodiscard]] bool is_trimmed(std::int64_t n_tokens);
  [[nodiscard]] bool is_restored(std::int64_t n_tokens);

  [[nodiscard]] bool wants_snapshot(std::size_t n_tokens, std::int64_t n_new_tokens) const;
};

}  // namespace kvevict
