#include "serving/text_answer.h"

#include <algorithm>
#include <utility>

#include "kvevict/error.h"
#include "runtime/generate_options.h"

namespace kvevict::serving {
namespace {

TextPrompt prompt_of(const ChatRequest& request) {
  if (!request.text->tokens.empty()) return *request.text;
  throw Error(ErrorCode::kInvalidArgument, "the text has no token: one or more are needed", "prompt");
}

}  // namespace

TextAnswer::TextAnswer(std::shared_ptr<const Model> model, PlacedSession session, std::shared_ptr<void> place,
                       const ChatRequest& request, OnText on_text)
    : model_(std::move(model)),
      place_(std::move(place)),
      prompt_(prompt_of(request)),
      form_(request.form),
      on_text_(std::move(on_text)),
      session_(std::move(session.session)),
      is_in_pool_(session.is_in_pool),
      n_done_(static_cast<std::size_t>(session_.stats().n_tokens_seen)) {
  result_.answer.n_cached = static_cast<std::int64_t>(n_done_);
  result_.answer.end = AnswerEnd::kStopped;
  n_evicted_before_ = result_.answer.n_cached - session_.stats().n_tokens_held;
}

std::int64_t TextAnswer::n_prompt_left() const {
  return static_cast<std::int64_t>(prompt_.tokens.size() - n_done_);
}

void TextAnswer::take_in() {
  const auto n_chunk = static_cast<std::size_t>(session_.options().n_chunk);
  const std::span<const Token> left = std::span(prompt_.tokens).subspan(n_done_);
  const std::span<const Token> chunk = left.first(std::min(left.size(), n_chunk));
  AppendOptions options{
      .prefill = PrefillMode::kBounded,
      .n_to_come = static_cast<std::int64_t>(left.size() - chunk.size()) + form_.max_new_tokens,
      .n_best = prompt_.n_best};
  if (prompt_.on_token) {
    options.on_probabilities = [this](std::int64_t, const DrawnToken& token) { prompt_.on_token(token); };
  }
  session_.append(chunk, options);
  n_done_ += chunk.size();
  result_.answer.n_new = static_cast<std::int64_t>(n_done_) - result_.answer.n_cached;
}

void TextAnswer::begin_answer() {
  GenerateOptions drawing = generate_options(form_);
  drawing.recent = prompt_.tokens;
  const auto give = [this](std::string_view text) {
    result_.answer.text += text;
    on_text_(text);
  };
  drawing.on_token = [give](Token, std::string_view text) {
    give(text);
    return true;
  };
  drawing.on_rest = give;
  drawing_.emplace(model_, drawing);
}

bool TextAnswer::draw() {
  if (form_.max_new_tokens == 0) {
    result_.answer.end = AnswerEnd::kAtLength;
    return false;
  }
  if (!drawing_) begin_answer();
  if (const std::optional<Token> token = drawing_->next(session_)) {
    token_ = *token;
    session_.make_room();
    drawn_ = {.session = &session_, .tokens = {&token_, 1}};
    return true;
  }
  const bool is_at_length = drawing_->end() == DrawEnd::kByLength;
  result_.answer.end = is_at_length ? AnswerEnd::kAtLength : AnswerEnd::kByModel;
  return false;
}

ChatResult TextAnswer::finish() {
  if (drawing_) result_.answer.n_made = std::ssize(drawing_->finish().tokens);
  const SessionStats stats = session_.stats();
  result_.conversation = {.strategy = to_string(session_.policy().spec()),
                          .n_kept = stats.n_tokens_held,
                          .n_evicted = stats.n_tokens_seen - stats.n_tokens_held,
                          .n_cells = stats.n_cells,
                          .kv_bytes = stats.kv_bytes};
  result_.n_evicted = result_.conversation.n_evicted - n_evicted_before_;
  return std::move(result_);
}

}  // namespace kvevict::serving
