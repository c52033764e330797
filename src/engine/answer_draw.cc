#include "kvevict/answer_draw.h"

#include <algorithm>
#include <utility>

#include "engine/log_probability.h"
#include "engine/sampler.h"
#include "engine/session_impl.h"
#include "engine/stop_text.h"
#include "engine/text_stream.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_sound(const GenerateOptions& options) {
  for (const std::string& stop : options.stop) {
    if (stop.empty())
      throw Error(ErrorCode::kInvalidArgument,
                  "a text that ends an answer is empty: one or more characters are needed", "stop");
  }
}

/// `text` up to where the first of `stops` begins.
std::string up_to_stop(std::string text, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) text.resize(std::min(text.size(), text.find(stop)));
  return text;
}

}  // namespace

struct KVEVICT_PRIVATE AnswerDraw::Impl {
  Impl(std::shared_ptr<const Model> model_in, const GenerateOptions& options_in)
      : model(std::move(model_in)),
        options(options_in),
        sampler(options.sampling, *model, options.recent, options.grammar, options.grammar_start),
        stream(*model, options.shown_tokens),
        text(options.stop) {
    options.recent = {};  // of the caller
  }

  std::shared_ptr<const Model> model;
  GenerateOptions options;
  Sampler sampler;
  TextStream stream;
  StopText text;
  std::vector<Token> tokens;
  std::string last_text;
  DrawEnd end = DrawEnd::kNot;

  [[nodiscard]] std::string whole_text(std::span<const Token> all) const {
    if (options.shown_tokens.empty()) return model->detokenize(all);
    TextStream whole(*model, options.shown_tokens);
    std::string joined;
    for (const Token token : all) joined += whole.add(token);
    return joined;
  }

  [[nodiscard]] bool has_all() const { return std::ssize(tokens) >= options.max_new_tokens; }

  [[nodiscard]] bool ends_answer(Token token) const {
    return (options.stop_at_end_of_generation || !options.grammar.empty()) &&
           model->is_end_of_generation(token);
  }

  /// Notes what ends the answer behind `token`, if anything does.
  void add(Token token) {
    tokens.push_back(token);
    last_text = text.add(stream.add(token));
    if (text.is_reached()) end = DrawEnd::kByText;
    const bool is_wanted = !options.on_token || options.on_token(token, last_text);
    if (end != DrawEnd::kNot) return;
    if (!is_wanted) {
      end = DrawEnd::kByCaller;
    } else if (has_all()) {
      end = DrawEnd::kByLength;
    }
  }
};

AnswerDraw::AnswerDraw(std::shared_ptr<const Model> model, const GenerateOptions& options) {
  if (!model) throw Error(ErrorCode::kInvalidArgument, "an answer needs a model");
  require_sound(options);
  impl_ = std::make_unique<Impl>(std::move(model), options);
}

AnswerDraw::~AnswerDraw() = default;
AnswerDraw::AnswerDraw(AnswerDraw&&) noexcept = default;
AnswerDraw& AnswerDraw::operator=(AnswerDraw&&) noexcept = default;

std::optional<Token> AnswerDraw::next(const Session& session) {
  Impl& answer = *impl_;
  answer.last_text.clear();
  if (answer.end != DrawEnd::kNot) return std::nullopt;
  if (session.logits().empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "nothing was appended to the session: there is nothing to go on from");
  }
  if (answer.has_all()) {
    answer.end = DrawEnd::kByLength;
    return std::nullopt;
  }
  const Token token = answer.sampler.sample(session.logits(), session.impl_->record.map().n_seen());
  if (answer.ends_answer(token)) {
    answer.end = DrawEnd::kByModel;
    return std::nullopt;
  }
  if (answer.options.on_drawn)
    answer.options.on_drawn(
        token_probabilities(*answer.model, session.logits(), token, answer.options.n_best));
  answer.add(token);
  return answer.end == DrawEnd::kNot ? std::optional(token) : std::nullopt;
}

DrawEnd AnswerDraw::end() const noexcept {
  return impl_->end;
}
std::span<const Token> AnswerDraw::tokens() const noexcept {
  return impl_->tokens;
}
std::string_view AnswerDraw::last_text() const noexcept {
  return impl_->last_text;
}

Generation AnswerDraw::finish() {
  Impl& answer = *impl_;
  if (answer.end == DrawEnd::kNot) answer.end = DrawEnd::kByCaller;
  const std::string rest = answer.text.take_rest();
  if (answer.options.on_rest && !rest.empty()) answer.options.on_rest(rest);
  Generation generation;
  generation.tokens = std::exchange(answer.tokens, {});
  generation.text = up_to_stop(answer.whole_text(generation.tokens), answer.options.stop);
  generation.reached_end = answer.end == DrawEnd::kByModel || answer.end == DrawEnd::kByText;
  return generation;
}

}  // namespace kvevict
