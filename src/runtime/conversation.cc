#include "runtime/conversation.h"

#include <exception>
#include <nlohmann/json.hpp>

#include "kvevict/error.h"
#include "kvevict/session_file.h"
#include "runtime/kept_text.h"
#include "runtime/prompt_prefill.h"
#include "text/hashes.h"
#include "text/utf8.h"

namespace kvevict {

Conversation::Conversation(ModelRun run, Options options)
    : run_(std::move(run)), options_(std::move(options)), session_(run_.model, run_.options) {
  template_.emplace(*run_.model, options_.system);
}

bool Conversation::append_turn(std::span<const Token> turn) {
  const std::size_t n_waiting = waiting_.size();
  const std::int64_t n_before = session_.stats().n_tokens_seen;
  const auto remember = [&] {
    const auto n = static_cast<std::size_t>(session_.stats().n_tokens_seen - n_before);
    const bool is_begun = n > n_waiting;
    const std::span<const Token> rest = turn.first(is_begun ? turn.size() : n_waiting).subspan(n);
    seen_.insert(seen_.end(), turn.begin(), turn.begin() + static_cast<std::ptrdiff_t>(n));
    waiting_.assign(rest.begin(), rest.end());
    if (is_begun) ++n_turns_;
  };
  try {
    prefill_prompt(session_, run_.policy, turn,
                   {.mode = run_.prefill, .n_new_tokens = options_.max_new_tokens});
  } catch (const Error& error) {
    remember();
    if (error.code() != ErrorCode::kCancelled) throw;
    return false;
  } catch (...) {
    remember();
    throw;
  }
  remember();
  return true;
}

AnswerEnd Conversation::answer(std::string_view message,
                               const std::function<void(std::string_view)>& on_text) {
  require_utf8(message, "the message");
  std::vector<Token> turn = waiting_;
  const std::vector<Token> added =
      seen_.empty() && turn.empty() ? template_->first_turn(message) : template_->next_turn(message);
  turn.insert(turn.end(), added.begin(), added.end());
  if (!append_turn(turn)) return AnswerEnd::kStopped;

  const std::int64_t n_before = session_.stats().n_tokens_seen;
  std::vector<Token> made;
  bool is_stopped = false;
  bool reached_end = false;
  std::exception_ptr failure;
  try {
    const Generation generation =
        session_.generate({.max_new_tokens = options_.max_new_tokens,
                           .sampling = options_.sampling,
                           .policy = run_.policy,
                           .on_token = [&](Token token, std::string_view text) {
                             made.push_back(token);
                             on_text(text);
                             is_stopped = run_.options.cancel != nullptr && *run_.options.cancel;
                             return !is_stopped;
                           }});
    reached_end = generation.reached_end;
  } catch (const Error& error) {
    is_stopped = error.code() == ErrorCode::kCancelled;
    if (!is_stopped) failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  const auto written = made.begin() + static_cast<std::ptrdiff_t>(session_.stats().n_tokens_seen - n_before);
  seen_.insert(seen_.end(), made.begin(), written);
  waiting_.assign(written, made.end());
  if (failure) std::rethrow_exception(failure);
  if (is_stopped) return AnswerEnd::kStopped;
  return reached_end ? AnswerEnd::kByModel : AnswerEnd::kAtLength;
}

std::string Conversation::kept_text(bool for_terminal) const {
  std::vector<Token> tokens = seen_;
  tokens.insert(tokens.end(), waiting_.begin(), waiting_.end());
  KeepSet kept = session_.held();
  kept.append(static_cast<std::int64_t>(seen_.size()), static_cast<std::int64_t>(tokens.size()));
  return kvevict::kept_text(*run_.model, tokens, kept, for_terminal);
}

void Conversation::reset() {
  session_.clear();
  seen_.clear();
  waiting_.clear();
  n_turns_ = 0;
}

void Conversation::save(const std::filesystem::path& path) {
  if (model_sha256_.empty()) model_sha256_ = sha256_of_file(run_.model->path());
  SessionExtras extras;
  extras.sampling = options_.sampling;
  extras.application_data = nlohmann::json{{"kind", "chat"},         {"system", options_.system},
                                           {"strategy", strategy()}, {"turns", n_turns_},
                                           {"seen", seen_},          {"waiting", waiting_}}
                                .dump();
  save_session(session_, path, extras, model_sha256_);
}

namespace {

/// What a chat keeps beside its session.
struct SavedChat {
  std::string system, strategy;
  std::int64_t n_turns = 0;
  std::vector<Token> seen, waiting;
};

SavedChat saved_chat(const std::string& text, const std::filesystem::path& path) {
  const auto chat = nlohmann::json::parse(text, nullptr, false);
  if (!chat.is_object() || chat.value("kind", "") != "chat") {
    throw Error(ErrorCode::kBadData, path.string() + " is a saved session, but not one of a chat");
  }
  try {
    return {.system = chat.at("system"),
            .strategy = chat.at("strategy"),
            .n_turns = chat.at("turns"),
            .seen = chat.at("seen"),
            .waiting = chat.at("waiting")};
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData, path.string() + " holds a chat that cannot be read: " + error.what());
  }
}

}  // namespace

void Conversation::load(const std::filesystem::path& path) {
  if (model_sha256_.empty()) model_sha256_ = sha256_of_file(run_.model->path());
  SessionOptions options = run_.options;
  options.positions = inspect_session(path).positions;
  options.scores.reset();  // what can be saved goes by position
  LoadedSession loaded = load_session(run_.model, options, path, model_sha256_);
  SavedChat chat = saved_chat(loaded.extras.application_data, path);
  std::shared_ptr<const Policy> policy = make_policy(parse_strategy(chat.strategy));
  ChatTemplate chat_template(*run_.model, chat.system);
  template_.emplace(std::move(chat_template));
  run_.policy = std::move(policy);
  run_.options = options;
  options_.sampling = loaded.extras.sampling;
  session_ = std::move(loaded.session);
  options_.system = std::move(chat.system);
  seen_ = std::move(chat.seen);
  waiting_ = std::move(chat.waiting);
  n_turns_ = chat.n_turns;
}

}  // namespace kvevict
