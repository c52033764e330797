#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kvevict/conversation.h"
#include "kvevict/error.h"
#include "runtime/model_run.h"
#include "serving/answer_backend.h"
#include "serving/conversation_places.h"
#include "serving/conversation_store.h"
#include "serving/conversation_table.h"
#include "serving/session_answer.h"

namespace kvevict::serving {

struct PoolOptions {
  std::shared_ptr<const Model> model;
  /// The policy and the session of a conversation that begins: by the text of its strategy (empty: the
  /// server's) and its system prompt. Errors: kInvalidArgument for a strategy that it cannot have.
  std::function<ModelRun(const std::string& strategy, const std::string& system)> run_for;
  /// Those of a text that names its strategy, which is taken as it stands: there is no system prompt that its
  /// sink could be. Errors: as above.
  std::function<ModelRun(const std::string& strategy)> text_run_for{};
  TemplateOptions prompt_template{};
  std::string system{};  ///< In front of a list that brings no system message; may be empty.
  bool keep_reasoning = false;
  std::size_t n_live = 4;  ///< Most conversations and texts in memory, and answers at once; >= 1.
  PlaceOptions places{};
  std::int64_t copy_bytes = std::int64_t{256} << 20;  ///< Most of the copies of a conversation's turns.
  /// Where each conversation is kept behind every answer, before it is handed out; null: in memory alone.
  std::shared_ptr<ConversationStore> store{};
  /// Called if the store could not keep or give back a conversation, which goes on all the same: from memory,
  /// or taken in anew. A store that cannot be used is said once, until it can be again.
  std::function<void(const Error&)> on_store_error{};
};

/// A conversation for whoever asks about it.
struct ConversationView {
  ConversationFigures figures{};
  bool is_busy = false;  ///< Is being answered: what it keeps is not told, and the figures are as before.
                         ///< Nor is it of one that rests.
  std::vector<TokenRange> kept{};
  std::string text{};  ///< Evicted parts between "[-" and "-]"; long ones are shortened.
};

/// The live conversations, each with cells of its own, and the texts that are gone on with outside of them.
/// Several are answered at once, in steps; those in places of a pool in one batch. The conversation that was
/// used longest ago makes room for a new one, or for a text: it rests in the store, and is loaded from there
/// if it comes back; without a store it is forgotten, and its whole history is taken in again. Where servers
/// share the store, each answer is made under its conversation's lease, and a conversation that went on at
/// another server since it was last answered here is loaded anew.
///
/// Thread safety: the members of AnswerBackend and their answers one thread at a time; the others from any.
class ConversationPool final : public AnswerBackend {
 public:
  /// Errors: those of ConversationPlaces.
  explicit ConversationPool(PoolOptions options);
  ~ConversationPool() override;

  /// Refuses what can be refused without decoding anything: a model without a chat template, messages that
  /// the template refuses (of a long list those at its ends), a strategy, a grammar. Errors: those of
  /// PromptTemplate, `require_grammar` and `PoolOptions::run_for`.
  void check(const ChatRequest& request) const;

  /// How an answer to `request` is written; null if it is text alone. Errors: those of
  /// `PromptTemplate::answer_format`.
  [[nodiscard]] std::shared_ptr<const AnswerFormat> format_of(const ChatRequest& request,
                                                              const AnswerFormatOptions& options) const;

  /// The prompt that the messages make, as text. Errors: those of PromptTemplate.
  [[nodiscard]] std::string prompt(const std::vector<ChatMessage>& messages) const;

  [[nodiscard]] std::unique_ptr<RunningAnswer> begin(const ChatRequest& request, OnText on_text) override;
  [[nodiscard]] std::unique_ptr<RunningAnswer> branch(RunningAnswer& first, const ChatRequest& request,
                                                      OnText on_text) override;
  [[nodiscard]] std::vector<std::optional<Error>> append(std::span<RunningAnswer* const> answers) override {
    return append_tokens(answers);
  }

  [[nodiscard]] const ConversationPlaces& places() const noexcept { return places_; }
  [[nodiscard]] std::size_t n_live() const noexcept { return options_.n_live; }

  /// Tokens of a prompt that go in at once.
  [[nodiscard]] std::int64_t n_chunk() const noexcept { return options_.places.session.n_chunk; }

  /// Those of `owner`, or of all, live or at rest; the one that was used last comes first.
  [[nodiscard]] std::vector<ConversationFigures> list(const std::optional<std::string>& owner);

  /// Nothing if there is none of that owner and id.
  [[nodiscard]] std::optional<ConversationView> view(const std::string& owner, const std::string& id);

  /// kBusy: it is being answered, here or at another server of the store.
  enum class Forgotten { kYes, kUnknown, kBusy };
  Forgotten forget(const std::string& owner, const std::string& id);

 private:
  class Answer;
  class TextPlace;
  struct Held {
    std::unique_ptr<Conversation> chat;
    ConversationFigures figures;
  };
  using Key = ConversationTable::Key;
  using Claim = ConversationTable::Claim;

  [[nodiscard]] ChatRequest complete(ChatRequest request) const;
  [[nodiscard]] ChatRequest ends_of(const ChatRequest& request) const;
  [[nodiscard]] ModelRun run_of_text(const ChatRequest& request) const;
  [[nodiscard]] const PromptTemplate& usable_template() const;
  [[nodiscard]] Conversation& make_room_for(const Claim& claim, const ChatRequest& request);
  [[nodiscard]] std::optional<Claim> claim_known(const ChatRequest& request, const std::set<Key>& elsewhere);
  [[nodiscard]] ConversationFigures figures_of_known(Key key, const KnownConversation& one) const;
  [[nodiscard]] ChatResult finish(const Claim& claim, MessagesAnswer answer, ChatRequest request);
  void give_up(const Claim& claim, bool is_forgotten);
  void let_go(Key key);
  [[nodiscard]] std::unique_ptr<RunningAnswer> begin_text(const ChatRequest& request, OnText on_text);

  // Of the store (conversation_pool_store.cc).
  [[nodiscard]] bool is_shared() const { return options_.store && options_.store->is_shared(); }
  [[nodiscard]] std::optional<Claim> claim(const ChatRequest& request);
  [[nodiscard]] ConversationStore::Lease lease(Claim& claim);
  void refresh();
  void learn(const ConversationName& name, std::optional<StoredConversation> stored);
  [[nodiscard]] ConversationName name_of(Key key) const;
  [[nodiscard]] std::unique_ptr<Conversation> load(Key key, const ModelRun& run,
                                                   const ConversationOptions& options);
  [[nodiscard]] bool keep(const Claim& claim, const std::vector<RecordedMessage>& messages);
  [[nodiscard]] bool note_kept(Key key, const ConversationStore::Kept& kept);
  void give_back_lease(const Claim& claim);
  [[nodiscard]] bool remove_stored(const ConversationName& name);
  void note_store_error(const Error& error) const;
  void note_store_failure(const Error& error);

  const PoolOptions options_;
  std::optional<PromptTemplate> template_;
  std::optional<Error> template_error_;  // why there is none
  ConversationPlaces places_;
  mutable std::mutex mutex_;
  ConversationTable table_;
  std::map<Key, Held> held_;
  std::vector<std::unique_ptr<Conversation>> gone_;  // which end on the thread of `begin`, as the pool's do
  std::mutex store_mutex_;                           // of the store; never taken while `mutex_` is held
  std::atomic<bool> is_store_failing_ = false;       // since it worked last
};

}  // namespace kvevict::serving
