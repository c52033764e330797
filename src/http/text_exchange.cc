#include "http/text_exchange.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "http/outcome.h"

namespace kvevict::http {

TextExchange::TextExchange(Service& service, TextCall call, std::string owner)
    : service_(service),
      call_(std::move(call)),
      owner_(std::move(owner)),
      frame_(make_frame(service.model_name())) {
  frame_.id.replace(0, frame_.id.find('-'), "cmpl");
  frame_.has_logprobs = call_.has_logprobs;
}

TextExchange::~TextExchange() {
  if (ticket_) service_.scheduler.cancel(*ticket_);
}

/// What a choice has before anything is computed.
TextChoice TextExchange::begun() const {
  TextChoice choice;
  if (!call_.has_echo) return choice;
  const Model& model = *service_.served.model;
  const std::vector<Token>& tokens = call_.requests[choices_.size()].text->tokens;
  choice.echo = model.detokenize(tokens, true);
  if (!call_.has_logprobs) return choice;
  choice.has_first = true;
  choice.drawn.push_back(
      {.drawn = {.token = tokens.front(), .bytes = model.detokenize(std::span(tokens).first(1), true)}});
  return choice;
}

serving::Submission TextExchange::submit() {
  choice_ = begun();
  serving::ChatRequest request = call_.requests[choices_.size()];
  request.owner = owner_;
  if (call_.has_logprobs) {
    const auto put = [pipe = pipe_](const DrawnToken& token) { pipe->put_drawn(token); };
    request.form.on_drawn = put;
    if (call_.has_echo) request.text->on_token = put;
  }
  watch_ = {};
  seconds_first_ = -1;
  serving::Submission submission = service_.scheduler.submit(
      std::move(request),
      {.on_text = [pipe = pipe_](std::string_view text) { pipe->put_text(text); },
       .on_end = [pipe = pipe_](const serving::Outcome& outcome) { pipe->put_end(outcome); }});
  ticket_ = submission.ticket;
  return submission;
}

std::optional<AnswerPipe::Piece> TextExchange::next() {
  std::optional<AnswerPipe::Piece> piece = next_piece(*pipe_);
  if (!piece) return piece;
  std::ranges::copy(piece->drawn, std::back_inserter(choice_.drawn));
  if (seconds_first_ < 0) seconds_first_ = watch_.seconds();
  if (!piece->outcome) return piece;
  ticket_.reset();
  if (!piece->outcome->result) return piece;
  choice_.result = *piece->outcome->result;
  service_.metrics.count_answer(choice_.result.answer, seconds_first_, watch_.seconds());
  if (choice_.result.answer.end != AnswerEnd::kStopped) choices_.push_back(std::move(choice_));
  return piece;
}

}  // namespace kvevict::http
