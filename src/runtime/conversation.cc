#include "kvevict/conversation.h"

#include <exception>
#include <optional>
#include <utility>

#include "base/scope_guard.h"
#include "kvevict/error.h"
#include "kvevict/session_file.h"
#include "runtime/chat_template.h"
#include "runtime/kept_text.h"
#include "runtime/prompt_prefill.h"
#include "runtime/saved_chat.h"
#include "text/utf8.h"

namespace kvevict {

struct Conversation::Impl {
  std::shared_ptr<const Model> model;
  ConversationOptions options;
  ChatTemplate chat_template;
  Session session;
  std::vector<Token> seen;
  std::vector<Token> waiting;  // of the conversation, not yet in the cache
  std::int64_t n_turns = 0;
  std::string model_sha256;

  [[nodiscard]] std::int64_t n_seen() const { return session.stats().n_tokens_seen; }

  /// Takes note of what of `turn`, which begins with what waited, was appended since `n_before`. What of a
  /// begun message was not appended waits for the next turn; a message that was not begun is dropped.
  void remember(std::span<const Token> turn, std::int64_t n_before) {
    const auto n = static_cast<std::size_t>(n_seen() - n_before);
    const bool is_begun = n > waiting.size();
    const std::span<const Token> rest = turn.first(is_begun ? turn.size() : waiting.size()).subspan(n);
    seen.insert(seen.end(), turn.begin(), turn.begin() + static_cast<std::ptrdiff_t>(n));
    waiting.assign(rest.begin(), rest.end());
    if (is_begun) ++n_turns;
  }

  /// Appends what waits and a message behind it; false if it was stopped.
  bool append_turn(std::span<const Token> turn) {
    const std::int64_t n_before = n_seen();
    const OnExit note([&] { remember(turn, n_before); });
    try {
      prefill_prompt(session, turn, {.n_new_tokens = options.max_new_tokens});
      return true;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCancelled) throw;
      return false;
    }
  }

  [[nodiscard]] const std::string& checksum() {
    if (model_sha256.empty()) model_sha256 = model->sha256();
    return model_sha256;
  }
};

Conversation::Conversation(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                           ConversationOptions options) {
  require_utf8(options.system, "the system prompt");
  Session session(model, std::move(policy), options.session);
  ChatTemplate chat_template(*model, options.system, options.prompt_template);
  impl_ = std::make_unique<Impl>(Impl{.model = std::move(model),
                                      .options = std::move(options),
                                      .chat_template = std::move(chat_template),
                                      .session = std::move(session),
                                      .seen = {},
                                      .waiting = {},
                                      .model_sha256 = {}});
}

Conversation::~Conversation() = default;
Conversation::Conversation(Conversation&&) noexcept = default;
Conversation& Conversation::operator=(Conversation&&) noexcept = default;

AnswerEnd Conversation::answer(std::string_view message,
                               const std::function<void(std::string_view)>& on_text) {
  Impl& chat = *impl_;
  require_utf8(message, "the message");
  std::vector<Token> turn = chat.waiting;
  const bool is_first = chat.seen.empty() && turn.empty();
  const std::vector<Token> added =
      is_first ? chat.chat_template.first_turn(message) : chat.chat_template.next_turn(message);
  turn.insert(turn.end(), added.begin(), added.end());
  if (!chat.append_turn(turn)) return AnswerEnd::kStopped;

  const std::int64_t n_before = chat.n_seen();
  std::vector<Token> made;
  bool is_stopped = false;
  const OnExit note([&] {  // also of an answer that fails half way
    const auto written = made.begin() + static_cast<std::ptrdiff_t>(chat.n_seen() - n_before);
    chat.seen.insert(chat.seen.end(), made.begin(), written);
    chat.waiting.assign(written, made.end());
  });
  try {
    const std::atomic<bool>* const cancel = chat.options.session.cancel;
    const Generation generation = chat.session.generate({.max_new_tokens = chat.options.max_new_tokens,
                                                         .sampling = chat.options.sampling,
                                                         .stop = chat.options.stop,
                                                         .recent = chat.seen,
                                                         .on_token =
                                                             [&](Token token, std::string_view text) {
                                                               made.push_back(token);
                                                               on_text(text);
                                                               is_stopped = cancel != nullptr && *cancel;
                                                               return !is_stopped;
                                                             },
                                                         .on_rest = on_text});
    if (is_stopped) return AnswerEnd::kStopped;
    return generation.reached_end ? AnswerEnd::kByModel : AnswerEnd::kAtLength;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    return AnswerEnd::kStopped;
  }
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
  impl_->n_turns = 0;
}

void Conversation::save(const std::filesystem::path& path) {
  SessionExtras extras;
  extras.sampling = impl_->options.sampling;
  extras.application_data = to_data({.system = impl_->options.system,
                                     .n_turns = impl_->n_turns,
                                     .seen = impl_->seen,
                                     .waiting = impl_->waiting});
  save_session(impl_->session, path, extras, impl_->checksum());
}

void Conversation::load(const std::filesystem::path& path) {
  SessionOptions options = impl_->options.session;
  options.positions.reset();  // as they were saved
  LoadedSession loaded = load_session(impl_->model, path, options, impl_->checksum());
  SavedChat chat = chat_from(loaded.extras.application_data, path);
  ChatTemplate chat_template(*impl_->model, chat.system, impl_->options.prompt_template);
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
