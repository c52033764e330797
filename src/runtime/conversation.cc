#include "kvevict/conversation.h"

#include <utility>

#include "base/scope_guard.h"
#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"
#include "kvevict/session_file.h"
#include "runtime/conversation_impl.h"
#include "runtime/document_policy.h"
#include "runtime/kept_text.h"
#include "runtime/rebound_session.h"
#include "runtime/saved_chat.h"
#include "text/utf8.h"

namespace kvevict {

namespace {

void require_sound(std::span<const ChatMessage> messages) {
  if (messages.empty())
    throw Error(ErrorCode::kInvalidArgument, "the list of messages is empty: one or more are needed",
                "messages");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    require_utf8(messages[i].role, "the role of message " + std::to_string(i));
    require_utf8(messages[i].content, "message " + std::to_string(i));
  }
}

void require_sound(const Document& document, const ChatDocument& about, const ConversationOptions& options) {
  if (!document.is_chat())
    throw Error(ErrorCode::kInvalidArgument,
                "the document is a text and no message of a chat: make it with its chat template");
  if (!options.system.empty() && options.system != document.system())
    throw Error(ErrorCode::kInvalidArgument,
                "the document was read with another system prompt, which stays in front of it", "system");
  const std::int64_t n_trained = context_limit(*document.model());
  const std::int64_t n_chunk = document.session().options().n_chunk;
  const std::int64_t n_kept = about.kept.count();
  if (n_trained == 0 || about.n_turn_tokens <= n_trained - n_kept - n_chunk) return;
  throw Error(ErrorCode::kInvalidArgument,
              "a window of " + std::to_string(about.n_turn_tokens) + " tokens for what is said, beside " +
                  std::to_string(n_kept) + " of the document and a chunk of " + std::to_string(n_chunk) +
                  ", is more than the " + std::to_string(n_trained) + " tokens that " +
                  document.model()->info().name + " was trained on: lower one of them",
              "turn_tokens");
}

[[noreturn]] void refuse_document(const std::filesystem::path& path) {
  throw Error(ErrorCode::kUnsupported,
              path.string() +
                  " is a chat about a document, which has a context of its own: load "
                  "it into a conversation without a pool");
}

std::shared_ptr<const Policy> policy_for(const ChatDocument& about) {
  return make_document_policy(about.kept, about.n_tokens, about.n_turn_tokens);
}

}  // namespace

const std::string& Conversation::Impl::checksum() {
  if (model_sha256.empty()) model_sha256 = model->sha256();
  return model_sha256;
}

AnswerOptions Conversation::Impl::own_form() const {
  return {.max_new_tokens = options.max_new_tokens,
          .sampling = options.sampling,
          .grammar = options.grammar,
          .stop = options.stop};
}

NextTurn Conversation::Impl::turn_of_message(std::string_view message, const AnswerOptions& form) const {
  if (!form.grammar.empty()) require_grammar(*model, form.grammar);
  require_utf8(message, "the message");
  return turn_of(message, form.max_new_tokens);
}

NextTurn Conversation::Impl::turn_of_list(std::span<const ChatMessage> list, const AnswerOptions& form) {
  if (!form.grammar.empty()) require_grammar(*model, form.grammar);
  require_sound(list);
  NextTurn turn = turn_of(list, form.max_new_tokens);
  takes_lists = true;
  return turn;
}

Session Conversation::Impl::open_session() const {
  return options.pool ? options.pool->open(policy) : Session(model, policy, session.options());
}

std::unique_ptr<Conversation::Impl> Conversation::Impl::make(std::shared_ptr<const Model> model,
                                                             std::shared_ptr<const Policy> policy,
                                                             ConversationOptions options, Session session) {
  if (!options.grammar.empty()) require_grammar(*model, options.grammar);
  ChatTemplate chat_template(*model, options.system, options.prompt_template);
  TurnSnapshots snapshots(options.n_snapshots, options.snapshot_bytes);
  auto impl = std::make_unique<Impl>(Impl{.model = std::move(model),
                                          .policy = std::move(policy),
                                          .options = std::move(options),
                                          .chat_template = std::move(chat_template),
                                          .session = std::move(session),
                                          .snapshots = std::move(snapshots)});
  impl->can_trim = !impl->model->info().has_state;
  return impl;
}

Conversation::Conversation(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                           ConversationOptions options) {
  require_utf8(options.system, "the system prompt");
  Session session = options.pool ? options.pool->open(policy) : Session(model, policy, options.session);
  if (options.pool) options.session = session.options();
  impl_ = Impl::make(std::move(model), std::move(policy), std::move(options), std::move(session));
}

Conversation::Conversation(Document& document, std::int64_t n_turn_tokens, ConversationOptions options) {
  ChatDocument about{.n_tokens = document.report().n_tokens,
                     .kept = document.session().held_by_layer(),
                     .n_turn_tokens = n_turn_tokens};
  require_sound(document, about, options);
  options.system = document.system();
  std::shared_ptr<const Policy> policy = policy_for(about);
  Session session = document.fork(policy);
  options.session = session.options();
  options.pool = nullptr;
  impl_ = Impl::make(document.model(), std::move(policy), std::move(options), std::move(session));
  impl_->seen = document.tokens();
  impl_->chat_template.begin_with(document.tokens());
  impl_->document = std::move(about);
  if (!impl_->can_trim || impl_->model->info().n_window > 0)
    impl_->document_snapshot = impl_->session.snapshot();
}

Conversation::~Conversation() = default;
Conversation::Conversation(Conversation&&) noexcept = default;
Conversation& Conversation::operator=(Conversation&&) noexcept = default;

AnswerEnd Conversation::answer(std::string_view message,
                               const std::function<void(std::string_view)>& on_text) {
  const AnswerOptions form = impl_->own_form();
  return impl_->go_on(impl_->turn_of_message(message, form), form, on_text).end;
}

MessagesAnswer Conversation::answer_messages(std::span<const ChatMessage> messages,
                                             const std::function<void(std::string_view)>& on_text) {
  return answer_messages(messages, impl_->own_form(), on_text);
}

MessagesAnswer Conversation::answer_messages(std::span<const ChatMessage> messages, const AnswerOptions& form,
                                             const std::function<void(std::string_view)>& on_text) {
  return impl_->go_on(impl_->turn_of_list(messages, form), form, on_text);
}

std::string Conversation::kept_text(bool for_terminal) const {
  std::vector<Token> tokens = impl_->seen;
  tokens.insert(tokens.end(), impl_->waiting.begin(), impl_->waiting.end());
  KeepSet kept = impl_->session.held();
  kept.append(static_cast<std::int64_t>(impl_->seen.size()), static_cast<std::int64_t>(tokens.size()));
  return kvevict::kept_text(*impl_->model, tokens, kept, for_terminal);
}

void Conversation::reset() {
  impl_->go_to_beginning();
  impl_->seen.resize(static_cast<std::size_t>(impl_->n_document()));
  impl_->waiting.clear();
  impl_->messages.clear();
  impl_->snapshots.clear();
  impl_->past = {};
  impl_->n_turns = 0;
}

void Conversation::save(const std::filesystem::path& path) {
  SessionExtras extras;
  extras.sampling = impl_->options.sampling;
  extras.application_data = to_data({.system = impl_->options.system,
                                     .n_turns = impl_->n_turns,
                                     .seen = impl_->seen,
                                     .waiting = impl_->waiting,
                                     .messages = impl_->messages,
                                     .document = impl_->document});
  save_session(impl_->session, path, extras, impl_->checksum());
}

void Conversation::load(const std::filesystem::path& path) {
  SessionOptions options = impl_->options.session;
  options.positions.reset();  // as they were saved
  const std::string& checksum = impl_->checksum();
  // The place in the pool is that of the loaded session from now on, and of the one that runs if that fails.
  std::optional<SessionSnapshot> before;
  if (impl_->options.pool) {
    if (impl_->session.stats().n_tokens_seen > 0) before = impl_->session.snapshot();
    impl_->session = Session(impl_->model, impl_->policy, impl_->session.options());
  }
  const OnFailure undo([&] {
    if (before) impl_->replace_session(*before);
    if (!before && impl_->options.pool) impl_->session = impl_->open_session();
  });
  LoadedSession loaded = load_session(impl_->model, path, options, checksum, impl_->options.pool.get());
  SavedChat chat = chat_from(loaded.extras.application_data, path);
  ChatTemplate chat_template(*impl_->model, chat.system, impl_->options.prompt_template);
  std::shared_ptr<const Policy> policy;
  if (chat.document) {
    if (impl_->options.pool) refuse_document(path);
    policy = policy_for(*chat.document);
    loaded.session = rebound_copy(loaded.session, impl_->model, policy);
    const auto end = chat.seen.begin() + static_cast<std::ptrdiff_t>(chat.document->n_tokens);
    chat_template.begin_with({chat.seen.begin(), end});
  } else {
    policy = make_policy(loaded.session.policy().spec());
  }
  impl_->policy = std::move(policy);
  impl_->document = std::move(chat.document);
  impl_->document_snapshot.reset();
  impl_->past = {};
  impl_->snapshots.clear();
  impl_->messages = std::move(chat.messages);
  impl_->chat_template = std::move(chat_template);
  impl_->session = std::move(loaded.session);
  impl_->options.sampling = loaded.extras.sampling;
  impl_->options.system = std::move(chat.system);
  impl_->seen = std::move(chat.seen);
  impl_->waiting = std::move(chat.waiting);
  impl_->n_turns = chat.n_turns;
}

const Session& Conversation::session() const noexcept {
  return impl_->session;
}
SessionStats Conversation::stats() const {
  return impl_->stats();
}
std::int64_t Conversation::n_turns() const noexcept {
  return impl_->n_turns;
}
const std::vector<Token>& Conversation::seen() const noexcept {
  return impl_->seen;
}

std::int64_t count_system_tokens(const Model& model, std::string_view system,
                                 const TemplateOptions& prompt_template) {
  return ChatTemplate(model, std::string(system), prompt_template).count_system_tokens();
}

}  // namespace kvevict
