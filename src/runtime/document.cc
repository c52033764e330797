#include "kvevict/document.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/stopwatch.h"
#include "engine/kv_size.h"
#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "kvevict/session_file.h"
#include "runtime/document_text.h"
#include "runtime/prompt_prefill.h"
#include "runtime/rebound_session.h"
#include "runtime/saved_document.h"
#include "text/utf8.h"

namespace kvevict {

struct KVEVICT_PRIVATE Document::Impl {
  std::shared_ptr<const Model> model;
  Session session;
  SavedDocument parts;  // what the document keeps beside the session
  DocumentReport report{};
  std::shared_ptr<const Policy> keeps_all = make_policy("full");

  /// A session behind the document; in the same context where the model has it.
  [[nodiscard]] Session branch(std::shared_ptr<const Policy> policy) {
    const bool is_shareable = session.options().n_sequences > 1;
    return is_shareable ? session.fork(std::move(policy)) : rebound_copy(session, model, std::move(policy));
  }

  [[nodiscard]] std::vector<Token> question_tokens(std::string_view question) const;

  /// Refuses what would be refused in the midst of an answer.
  void require_room(const Session& asked, std::int64_t n_question, std::int64_t n_new) const;

  void note_counts() {
    report.n_tokens = report.stats.n_tokens_seen;
    report.n_kept = report.stats.n_tokens_held;
  }
};

namespace {

/// Tokens of an answer that go into the cache: all but the last.
std::int64_t count_appended(std::int64_t n_new) {
  return std::clamp<std::int64_t>(n_new - 1, 0, kMaxTokens);
}

/// So that it can be forked. A model whose windows slide holds all of them in full for that: its sessions are
/// copied instead.
SessionOptions with_forks(const Model& model, SessionOptions options) {
  options.n_sequences = model.info().n_window > 0 ? 1 : 2;
  return options;
}

/// The options with the positions that the session ends up with, so that a fork has the same ones.
SessionOptions settled_options(const std::shared_ptr<const Model>& model,
                               const std::shared_ptr<const Policy>& policy, const SessionOptions& options) {
  if (policy && policy->score_request()) {
    throw Error(ErrorCode::kUnsupported,
                policy->spec().name +
                    " chooses by attention, which is recorded only for a session that is neither forked nor "
                    "saved: use a strategy that goes by position or by keys for a document",
                "strategy");
  }
  if (!model) throw Error(ErrorCode::kInvalidArgument, "a document needs a model and a policy");
  return Session(model, policy, with_forks(*model, options)).options();
}

void require_text(std::string_view text) {
  require_utf8(text, "the document");
  if (text.empty())
    throw Error(ErrorCode::kInvalidArgument, "the document is empty: a text is needed", "document");
}

/// `session` with the whole document in it, evicted: in new cells without holes, so that every question finds
/// the rows in the same places.
Session filled(Session session, std::span<const Token> tokens, const DocumentOptions& options,
               DocumentReport& report) {
  const std::int64_t n_room = options.n_room;
  const PrefillReport prefill = prefill_prompt(
      session, tokens, {.n_after_eviction = 0, .is_last = true, .on_progress = options.on_progress});
  report.seconds_prefill = prefill.seconds_prefill;
  const Stopwatch moving;
  session.evict();  // a bounded prefill leaves its last chunk on top of the budget
  const SessionStats before = session.stats();
  if (session.options().n_sequences > 1) {
    Session own = session.fork();
    const std::int64_t n_trained = context_limit(own.model());
    const std::int64_t n_left = n_trained > 0 ? n_trained - own.stats().n_tokens_held : n_room;
    own.detach(std::clamp<std::int64_t>(n_left, 0, n_room));
    std::swap(session, own);
    report.stats = session.stats();
    // What a context of its own has begun to count anew.
    report.stats.kv_bytes_peak = std::max(before.kv_bytes_peak, before.kv_bytes + report.stats.kv_bytes_peak);
    report.stats.n_decode_calls = before.n_decode_calls;
    report.stats.n_decoded_tokens = before.n_decoded_tokens;
  } else {
    report.stats = before;
  }
  report.seconds_eviction = prefill.seconds_eviction + moving.seconds();
  return session;
}

}  // namespace

Document::Document(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                   std::string_view text, const DocumentOptions& options) {
  require_text(text);
  require_utf8(options.system, "the system prompt");
  Session session(model, policy, settled_options(model, policy, options.session));
  DocumentText parts = document_text(*model, text, options);
  impl_ = std::make_unique<Impl>(Impl{.model = std::move(model),
                                      .session = std::move(session),
                                      .parts = {.is_chat = options.is_chat,
                                                .parse_special = options.parse_special,
                                                .system = options.system,
                                                .opening = std::string(kBeforeQuestion),
                                                .closing = std::move(parts.closing),
                                                .tokens = std::move(parts.tokens)}});
  impl_->session = filled(std::move(impl_->session), impl_->parts.tokens, options, impl_->report);
  impl_->note_counts();
}

Document::Document(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                   std::vector<Token> tokens, const DocumentOptions& options) {
  if (options.is_chat)
    throw Error(ErrorCode::kInvalidArgument,
                "a document of a chat was given as tokens: its text is needed, for the chat template");
  Session session(model, policy, settled_options(model, policy, options.session));
  impl_ = std::make_unique<Impl>(
      Impl{.model = std::move(model),
           .session = std::move(session),
           .parts = {.parse_special = options.parse_special, .tokens = std::move(tokens)}});
  impl_->session = filled(std::move(impl_->session), impl_->parts.tokens, options, impl_->report);
  impl_->note_counts();
}

Document::Document(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

std::vector<Token> Document::Impl::question_tokens(std::string_view question) const {
  std::vector<TextPart> all{{parts.opening + std::string(question), parts.parse_special}};
  all.insert(all.end(), parts.closing.begin(), parts.closing.end());
  return model->tokenize(all, false);
}

void Document::Impl::require_room(const Session& asked, std::int64_t n_question, std::int64_t n_new) const {
  const std::int64_t n_behind = n_question + count_appended(n_new);
  const std::int64_t n_trained = context_limit(*model);
  if (n_trained > 0 && report.n_kept + n_behind > n_trained) {
    throw Error(ErrorCode::kInvalidArgument,
                "a question of " + std::to_string(n_question) + " tokens and up to " + std::to_string(n_new) +
                    " of an answer come on top of the " + std::to_string(report.n_kept) +
                    " that are held of the document, which is more than the " + std::to_string(n_trained) +
                    " that " + model->info().name +
                    " was trained on: ask for fewer new tokens, or keep less of the document",
                "max_new_tokens");
  }
  require_trained_positions(*model, asked.options(), report.n_tokens + n_behind);
}

DocumentAnswer Document::ask(std::string_view question, const GenerateOptions& options) {
  const Stopwatch watch;
  require_utf8(question, "the question");
  if (question.empty())
    throw Error(ErrorCode::kInvalidArgument, "the question is empty: a text is needed", "question");
  const std::vector<Token> tokens = impl_->question_tokens(question);
  DocumentAnswer answer;
  answer.n_question = static_cast<std::int64_t>(tokens.size());
  Session session = impl_->branch(impl_->keeps_all);
  impl_->require_room(session, answer.n_question, options.max_new_tokens);
  session.reserve(answer.n_question + count_appended(options.max_new_tokens));
  session.append(tokens, {.prefill = PrefillMode::kFull});

  GenerateOptions watched = options;
  std::vector<Token> all = impl_->parts.tokens;
  all.insert(all.end(), tokens.begin(), tokens.end());
  if (watched.recent.empty()) watched.recent = all;
  watched.on_token = [&](Token token, std::string_view text) {
    if (answer.seconds_to_first == 0) answer.seconds_to_first = watch.seconds();
    return !options.on_token || options.on_token(token, text);
  };
  answer.generation = session.generate(watched);
  answer.seconds = watch.seconds();
  if (answer.seconds_to_first == 0) answer.seconds_to_first = answer.seconds;
  return answer;
}

Session Document::fork(std::shared_ptr<const Policy> policy, std::int64_t n_room) {
  Session session = impl_->branch(std::move(policy));
  session.detach(n_room);
  return session;
}

void Document::save(const std::filesystem::path& path) {
  save_session(impl_->session, path, {.application_data = to_data(impl_->parts)});
}

Document Document::load(std::shared_ptr<const Model> model, const std::filesystem::path& path,
                        const SessionOptions& options) {
  if (!model) throw Error(ErrorCode::kInvalidArgument, "a document needs a model");
  const Stopwatch watch;
  SessionOptions session_options = with_forks(*model, options);
  // A document of absolute positions that was let in past the trained context is asked there.
  const SavedSession saved = inspect_session(path);
  if (saved.positions == PositionMode::kAbsolute && saved.n_tokens_seen > context_limit(*model))
    session_options.past_trained_context = true;
  LoadedSession loaded = load_session(model, path, session_options);
  auto impl = std::make_unique<Impl>(Impl{.model = std::move(model),
                                          .session = std::move(loaded.session),
                                          .parts = document_from(loaded.extras.application_data, path)});
  impl->report.stats = impl->session.stats();
  impl->note_counts();
  impl->report.seconds_load = watch.seconds();
  return Document(std::move(impl));
}

const std::shared_ptr<const Model>& Document::model() const noexcept {
  return impl_->model;
}
const Session& Document::session() const noexcept {
  return impl_->session;
}
const DocumentReport& Document::report() const noexcept {
  return impl_->report;
}
const std::vector<Token>& Document::tokens() const noexcept {
  return impl_->parts.tokens;
}
bool Document::is_chat() const noexcept {
  return impl_->parts.is_chat;
}
const std::string& Document::system() const noexcept {
  return impl_->parts.system;
}

}  // namespace kvevict
