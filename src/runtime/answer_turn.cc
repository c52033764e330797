#include "runtime/answer_turn.h"

#include <algorithm>
#include <utility>

#include "base/scope_guard.h"
#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"
#include "runtime/generate_options.h"
#include "runtime/prompt_prefill.h"

namespace kvevict {
namespace {

/// Whether nothing bounds what a session of this policy holds: then its cells are made for all that comes.
bool is_unbounded(const Session& session) {
  const PolicyState state{.schedule = Schedule::kStreaming,
                          .n_layers = session.model().info().n_cache_layers()};
  return !session.policy().budget_tokens(state);
}

}  // namespace

AnswerTurn::AnswerTurn(Conversation& chat, std::span<const ChatMessage> messages, const AnswerOptions& form,
                       OnText on_text)
    : AnswerTurn(*chat.impl_, chat.impl_->turn_of_list(messages, form), form, std::move(on_text)) {}

AnswerTurn::AnswerTurn(Conversation& chat, std::string_view message, const AnswerOptions& form,
                       OnText on_text)
    : AnswerTurn(*chat.impl_, chat.impl_->turn_of_message(message, form), form, std::move(on_text)) {}

AnswerTurn::AnswerTurn(Conversation::Impl& chat, NextTurn turn, const AnswerOptions& form, OnText on_text)
    : chat_(chat), turn_(std::move(turn)), form_(form), on_text_(std::move(on_text)) {
  if (is_cancelled()) return;
  require_positions();
  go_back();
  answer_.n_cached = n_seen();
  const std::size_t n_tokens = turn_.tokens.size();
  if (turn_.n_unsettled && static_cast<std::size_t>(n_seen()) + *turn_.n_unsettled < n_tokens)
    copied_at_ = static_cast<std::int64_t>(n_tokens - *turn_.n_unsettled);
  if (!turn_.messages.empty())
    turn_.messages.push_back({{"assistant", ""}, static_cast<std::int64_t>(n_tokens)});
  phase_ = Phase::kPrompt;
}

bool AnswerTurn::is_cancelled() const {
  const std::atomic<bool>* const cancel = chat_.options.session.cancel;
  return cancel != nullptr && *cancel;
}

void AnswerTurn::require_positions() const {
  const std::int64_t n_appended = std::max<std::int64_t>(form_.max_new_tokens - 1, 0);
  require_trained_positions(*chat_.model, chat_.session.options(), std::ssize(turn_.tokens) + n_appended);
}

void AnswerTurn::go_back() {
  // Without logits an answer cannot begin: then the last token is decoded again.
  const std::size_t n_tokens = turn_.tokens.size();
  const std::size_t n_kept = std::min(turn_.n_same, chat_.seen.size());
  const bool is_there = n_kept == n_tokens && n_kept == chat_.seen.size() && !chat_.session.logits().empty();
  const std::size_t n_back = n_kept == n_tokens && !is_there ? n_tokens - 1 : n_kept;
  is_set_back_ = n_back < chat_.seen.size();
  if (!is_set_back_) return;
  chat_.go_back(n_back, n_kept);
  turn_.read_anew(*chat_.model, chat_.seen.size());
}

std::int64_t AnswerTurn::n_to_take_in() const {
  return phase_ == Phase::kPrompt ? std::ssize(turn_.tokens) - n_seen() : 0;
}

void AnswerTurn::take_in() {
  const OnFailure end([&] { close(); });
  try {
    require_positions();  // what was read anew may be longer
    if (chat_.session.options().prefill == PrefillMode::kFull) {
      take_in_all();
    } else {
      take_in_chunk();
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    close();
  }
}

void AnswerTurn::take_in_chunk() {
  Session& session = chat_.session;
  const std::int64_t n_done = n_seen();
  const bool is_before_copy = copied_at_ && n_done < *copied_at_;
  const std::int64_t n_left = (is_before_copy ? *copied_at_ : std::ssize(turn_.tokens)) - n_done;
  if (is_unbounded(session)) session.reserve(n_left);  // once, not chunk by chunk
  const std::int64_t n = std::min<std::int64_t>(n_left, session.options().n_chunk);
  session.append(
      std::span(turn_.tokens).subspan(static_cast<std::size_t>(n_done), static_cast<std::size_t>(n)));
  if (is_before_copy && n == n_left) chat_.snapshots.take(session);
}

void AnswerTurn::take_in_all() {
  const auto take = [&](std::int64_t n_end, std::int64_t n_behind) {
    const auto from = static_cast<std::size_t>(n_seen());
    prefill_prompt(chat_.session,
                   std::span(turn_.tokens).subspan(from, static_cast<std::size_t>(n_end) - from),
                   {.n_new_tokens = n_behind + form_.max_new_tokens});
  };
  const std::int64_t n_all = std::ssize(turn_.tokens);
  if (copied_at_) {
    take(*copied_at_, n_all - *copied_at_);
    chat_.snapshots.take(chat_.session);
  }
  if (n_seen() < n_all) take(n_all, 0);
}

void AnswerTurn::give(std::string_view text) {
  answer_.text += text;
  on_text_(text);
}

void AnswerTurn::end_prompt() {
  answer_.n_new = n_seen() - answer_.n_cached;
  chat_.remember(std::move(turn_), is_set_back_);
}

void AnswerTurn::begin_answer() {
  end_prompt();
  phase_ = Phase::kAnswer;
  n_before_answer_ = n_seen();
  GenerateOptions drawing = generate_options(form_);
  drawing.recent = chat_.seen;
  drawing.on_token = [this](Token token, std::string_view text) {
    made_.push_back(token);
    give(text);
    is_stopped_ = is_cancelled();
    return !is_stopped_;
  };
  drawing.on_rest = [this](std::string_view text) { give(text); };
  drawing_.emplace(chat_.model, drawing);
}

std::optional<SessionTokens> AnswerTurn::draw() {
  if (phase_ == Phase::kEnded) return std::nullopt;
  const OnFailure end([&] { close(); });
  try {
    if (phase_ == Phase::kPrompt) begin_answer();
    if (const std::optional<Token> token = drawing_->next(chat_.session)) {
      token_ = *token;
      chat_.session.make_room();
      return SessionTokens{.session = &chat_.session, .tokens = {&token_, 1}};
    }
    const Generation generation = drawing_->finish();
    if (!is_stopped_) answer_.end = generation.reached_end ? AnswerEnd::kByModel : AnswerEnd::kAtLength;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
  }
  close();
  return std::nullopt;
}

MessagesAnswer AnswerTurn::finish() {
  if (phase_ == Phase::kAnswer && drawing_) (void)drawing_->finish();
  close();
  return std::move(answer_);
}

void AnswerTurn::end_answer() {
  answer_.n_made = std::ssize(made_);
  const auto written = made_.begin() + static_cast<std::ptrdiff_t>(n_seen() - n_before_answer_);
  chat_.seen.insert(chat_.seen.end(), made_.begin(), written);
  chat_.waiting.assign(written, made_.end());
  if (chat_.messages.empty()) return;
  chat_.messages.back().message = answer_message(answer_.text, form_.format.get());
  chat_.messages.back().n_tokens = static_cast<std::int64_t>(chat_.seen.size() + chat_.waiting.size());
}

void AnswerTurn::close() {
  const Phase phase = std::exchange(phase_, Phase::kEnded);
  if (phase == Phase::kPrompt) end_prompt();
  if (phase == Phase::kAnswer) end_answer();
}

}  // namespace kvevict
