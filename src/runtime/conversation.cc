#include "kvevict/conversation.h"

#include <utility>

#include "kvevict/error.h"
#include "kvevict/grammar.h"
#include "kvevict/session_file.h"
#include "runtime/conversation_impl.h"
#include "runtime/kept_text.h"
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

}  // namespace

const std::string& Conversation::Impl::checksum() {
  if (model_sha256.empty()) model_sha256 = model->sha256();
  return model_sha256;
}

Conversation::Conversation(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                           ConversationOptions options) {
  require_utf8(options.system, "the system prompt");
  Session session(model, policy, options.session);
  if (!options.grammar.empty()) require_grammar(*model, options.grammar);
  ChatTemplate chat_template(*model, options.system, options.prompt_template);
  TurnSnapshots snapshots(options.n_snapshots, options.snapshot_bytes);
  impl_ = std::make_unique<Impl>(Impl{.model = std::move(model),
                                      .policy = std::move(policy),
                                      .options = std::move(options),
                                      .chat_template = std::move(chat_template),
                                      .session = std::move(session),
                                      .snapshots = std::move(snapshots)});
  impl_->can_trim = !impl_->model->info().has_state;
}

Conversation::~Conversation() = default;
Conversation::Conversation(Conversation&&) noexcept = default;
Conversation& Conversation::operator=(Conversation&&) noexcept = default;

AnswerEnd Conversation::answer(std::string_view message,
                               const std::function<void(std::string_view)>& on_text) {
  require_utf8(message, "the message");
  return impl_->go_on(impl_->turn_of(message), on_text).end;
}

MessagesAnswer Conversation::answer_messages(std::span<const ChatMessage> messages,
                                             const std::function<void(std::string_view)>& on_text) {
  require_sound(messages);
  NextTurn turn = impl_->turn_of(messages);
  impl_->takes_lists = true;
  return impl_->go_on(std::move(turn), on_text);
}

std::string Conversation::kept_text(bool for_terminal) const {
  std::vector<Token> tokens = impl_->seen;
  tokens.insert(tokens.end(), impl_->waiting.begin(), impl_->waiting.end());
  KeepSet kept = impl_->session.held();
  kept.append(static_cast<std::int64_t>(impl_->seen.size()), static_cast<std::int64_t>(tokens.size()));
  return kvevict::kept_text(*impl_->model, tokens, kept, for_terminal);
}

void Conversation::reset() {
  impl_->session.clear();
  impl_->seen.clear();
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
                                     .messages = impl_->messages});
  save_session(impl_->session, path, extras, impl_->checksum());
}

void Conversation::load(const std::filesystem::path& path) {
  SessionOptions options = impl_->options.session;
  options.positions.reset();  // as they were saved
  LoadedSession loaded = load_session(impl_->model, path, options, impl_->checksum());
  SavedChat chat = chat_from(loaded.extras.application_data, path);
  ChatTemplate chat_template(*impl_->model, chat.system, impl_->options.prompt_template);
  std::shared_ptr<const Policy> policy = make_policy(loaded.session.policy().spec());
  impl_->policy = std::move(policy);
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
