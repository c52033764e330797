#include "session_state.h"

#include <algorithm>
#include <utility>

#include "base/scope_guard.h"
#include "runtime/generate_options.h"
#include "runtime/prompt_prefill.h"

namespace kvevict::python {
namespace {

constexpr std::size_t kRecent = 64;  // `GenerateOptions::recent`

const char* end_of_draw(DrawEnd end) {
  switch (end) {
    case DrawEnd::kByModel:
    case DrawEnd::kByText:
      return "model";
    case DrawEnd::kByLength:
      return "length";
    case DrawEnd::kNot:
    case DrawEnd::kByCaller:
      break;
  }
  return "stopped";
}

}  // namespace

SessionState::SessionState(std::shared_ptr<const Model> model, Session session)
    : model_(std::move(model)), session_(std::move(session)) {}

void SessionState::note(std::span<const Token> tokens) {
  recent_.insert(recent_.end(), tokens.begin(), tokens.end());
  if (recent_.size() > kRecent)
    recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(kRecent));
}

/// As `Session::generate` does it.
void SessionState::append_waiting() {
  if (!waiting_) return;
  session_.make_room();
  session_.append({&*waiting_, 1}, {.prefill = PrefillMode::kFull});
  note({&*waiting_, 1});
  waiting_.reset();
}

Session& SessionState::settled() {
  if (const auto answer = answer_.lock()) answer->close();
  append_waiting();
  return session_;
}

Session& SessionState::emptied() {
  if (const auto answer = answer_.lock()) answer->close();
  waiting_.reset();
  recent_.clear();
  return session_;
}

/// Takes note of what went in, whatever came of it.
void SessionState::take_in(std::span<const Token> tokens, const std::function<void(Session&)>& append) {
  Session& session = settled();
  const std::int64_t n_before = session.stats().n_tokens_seen;
  const OnExit note_what_went_in(
      [&] { note(tokens.first(static_cast<std::size_t>(session.stats().n_tokens_seen - n_before))); });
  append(session);
}

void SessionState::append(std::span<const Token> tokens) {
  take_in(tokens, [&](Session& session) { session.append(tokens); });
}

std::shared_ptr<SessionSteps> SessionState::begin(const std::shared_ptr<SessionState>& self,
                                                  std::span<const Token> prompt, const AnswerOptions& form) {
  if (prompt.empty()) {
    (void)self->settled();
  } else {
    self->take_in(prompt, [&](Session& session) {
      (void)prefill_prompt(session, prompt, {.n_new_tokens = form.max_new_tokens});
    });
  }
  GenerateOptions options = generate_options(form);
  options.recent = self->recent_;
  auto steps = std::make_shared<SessionSteps>(self, options);
  self->answer_ = steps;
  return steps;
}

std::shared_ptr<SessionState> SessionState::fork(std::shared_ptr<const Policy> policy) {
  auto twin = std::make_shared<SessionState>(model_, settled().fork(std::move(policy)));
  twin->recent_ = recent_;
  return twin;
}

SessionSteps::SessionSteps(std::shared_ptr<SessionState> state, const GenerateOptions& options)
    : state_(std::move(state)), drawing_(state_->model_, with_rest(options)) {}

GenerateOptions SessionSteps::with_rest(GenerateOptions options) {
  options.on_rest = [this](std::string_view text) { rest_ += text; };
  return options;
}

std::string SessionSteps::step() {
  state_->append_waiting();
  const std::size_t n_before = drawing_.tokens().size();
  const bool goes_on = drawing_.next(state_->session_).has_value();
  std::string text(drawing_.last_text());
  if (drawing_.tokens().size() > n_before) state_->waiting_ = drawing_.tokens().back();
  if (!goes_on) close();
  return text;
}

void SessionSteps::close() {
  if (end_ != nullptr) return;
  tokens_ = drawing_.finish().tokens;
  end_ = end_of_draw(drawing_.end());
}

std::string SessionSteps::stop() {
  close();
  return std::exchange(rest_, {});
}

std::vector<Token> SessionSteps::tokens() const {
  if (end_ != nullptr) return tokens_;
  return {drawing_.tokens().begin(), drawing_.tokens().end()};
}

}  // namespace kvevict::python
