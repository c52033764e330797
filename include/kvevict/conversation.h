#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/answer_options.h"
#include "kvevict/document.h"
#include "kvevict/export.h"
#include "kvevict/prompt_template.h"
#include "kvevict/session.h"
#include "kvevict/session_pool.h"

namespace KVEVICT_PUBLIC kvevict {

struct ConversationOptions {
  std::string system{};               ///< System prompt; may be empty.
  TemplateOptions prompt_template{};  ///< How messages are written; the model's own way by default.
  std::int64_t max_new_tokens = 256;  ///< Of an answer.
  SamplingOptions sampling{};
  std::string grammar{};            ///< The form of every answer (`grammar.h`); empty: any.
  std::vector<std::string> stop{};  ///< Texts that end an answer where one begins; not empty.
  /// Earlier answers stay in the cache as the model gave them, with their thoughts (<think>…</think>), even
  /// if the template leaves those out of the history. Else the template is followed: the cache goes back to
  /// where the answer began, and takes in what the template makes of it.
  bool keep_reasoning = false;
  /// Copies of the session where the latest answers began, to go back to once tokens were evicted: most of
  /// them, and most bytes of all together. Made only if the template rewrites answers or lists of messages
  /// come.
  int n_snapshots = 2;
  std::int64_t snapshot_bytes = std::int64_t{256} << 20;
  /// Of the session. Bounded: a message of any length goes in by chunks. `cancel` stops an answer.
  SessionOptions session{.prefill = PrefillMode::kBounded};
  /// Where the session has its place, for as long as the conversation lives; null: it has a context of its
  /// own. `session` is then that of the pool, and the pool's rules are the conversation's: its cells, one
  /// thread for all, no policy that chooses by attention.
  std::shared_ptr<SessionPool> pool{};
};

/// A chat of any number of turns in a cache of fixed size: every token is decoded once, when it is new. A
/// template that rewrites earlier answers is followed; what it changes is decoded again.
///
/// Owner: shares the model. Thread safety: one thread at a time.
class Conversation {
 public:
  /// Errors: those of Session, `SessionPool::open`, PromptTemplate and `require_grammar`; kUnsupported for a
  /// template that leaves messages or answers out; kBadData for a system prompt that is not UTF-8.
  Conversation(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
               ConversationOptions options = {});

  /// A chat about `document`, which stays in the cache as it was evicted: it stands in front of what the user
  /// says first, and the newest `n_turn_tokens` tokens of what is said stay behind it. The conversation has a
  /// context of its own. Of `options`, `system` and `session` are the document's, and there is no `pool`.
  /// Going back, `reset` too, never goes behind the document. A system message in a list is passed over: the
  /// document brought its own.
  /// Errors: as above; kInvalidArgument for a document without a chat template, another system prompt than
  /// its own, and a window below 1 or, with the document and a chunk, above the trained context.
  Conversation(Document& document, std::int64_t n_turn_tokens, ConversationOptions options = {});
  ~Conversation();
  Conversation(Conversation&&) noexcept;
  Conversation& operator=(Conversation&&) noexcept;

  /// Appends the message and streams the answer to `on_text`. If it is stopped, the conversation keeps the
  /// part of the answer that was made. If it is stopped while the message goes in, the conversation keeps the
  /// whole message, with an empty answer. Errors: kBadData (not UTF-8), those of Session and what `on_text`
  /// throws; the conversation can go on.
  AnswerEnd answer(std::string_view message, const std::function<void(std::string_view)>& on_text);

  /// Takes a whole conversation, as a program has it that keeps its own history, and answers its last
  /// message. Its beginning is compared with what was seen: only what is new is decoded. Where the list
  /// departs from that (an earlier message was changed, answers were rewritten, messages are gone), the
  /// session goes back: it is trimmed if nothing was evicted before that point, else set back to the latest
  /// copy of a turn that fits, else cleared. `options.system` is not added. Afterwards `answer` goes on from
  /// the list. If it is stopped, or fails once the session went back or tokens went in, the conversation is
  /// the list, with what there is of its answer. Errors: as `answer`; kInvalidArgument for an empty list.
  MessagesAnswer answer_messages(std::span<const ChatMessage> messages,
                                 const std::function<void(std::string_view)>& on_text);

  /// The same with options of this answer, in place of the conversation's own. Errors: `require_grammar`'s
  /// too, before anything has changed.
  MessagesAnswer answer_messages(std::span<const ChatMessage> messages, const AnswerOptions& form,
                                 const std::function<void(std::string_view)>& on_text);

  /// Forgets all turns; a document stays. The system prompt comes again with the next message. Errors:
  /// kUnsupported for a document of a model that keeps a state or whose windows slide, once the conversation
  /// was loaded from a file, which holds no copy of what was there before the first turn.
  void reset();

  /// Writes everything to a file in one step: the session, the messages, and 4 bytes for each token of the
  /// conversation; not the copies of turns.
  /// Errors: kIo; kUnsupported for a policy that chooses by attention.
  void save(const std::filesystem::path& path);

  /// Goes on with a saved conversation: its system prompt, strategy, positions and sampling are taken up.
  /// Errors: those of load_session and, in a pool, of `SessionPool::restore`; kBadData (not a saved chat).
  /// The running one is then as it was.
  void load(const std::filesystem::path& path);

  [[nodiscard]] const Session& session() const noexcept;

  /// As the session's, with what was done before it went back.
  [[nodiscard]] SessionStats stats() const;
  [[nodiscard]] std::int64_t n_turns() const noexcept;

  /// The conversation as text. What was evicted stands between "[-" and "-]", or is dimmed for a terminal;
  /// long evicted parts are shortened.
  [[nodiscard]] std::string kept_text(bool for_terminal = false) const;

  /// All tokens of the conversation that the cache has seen, in order.
  [[nodiscard]] const std::vector<Token>& seen() const noexcept;

 private:
  friend class AnswerTurn;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Tokens of `system` and what the model's chat template puts before the first message: sink tokens that
/// always keep the system prompt. Errors: as the constructor of Conversation.
[[nodiscard]] std::int64_t count_system_tokens(const Model& model, std::string_view system,
                                               const TemplateOptions& prompt_template = {});

}  // namespace kvevict
