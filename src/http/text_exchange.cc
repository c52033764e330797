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
      frame_(make_frame(service.model_name(), service.fingerprint)) {
  frame_.id.replace(0, frame_.id.find('-'), "cmpl");
  frame_.has_logprobs = call_.has_logprobs;
}

TextExchange::~TextExchange() {
  for (const auto& [index, one] : running_) service_.scheduler.cancel(one.ticket);
}

/// What a choice has before anything is computed.
TextChoice TextExchange::begun(std::size_t index) const {
  TextChoice choice{.is_first_of_text = choice_of_text(index) == 0};
  if (!call_.has_echo) return choice;
  const Model& model = *service_.served.model;
  const std::vector<Token>& tokens = call_.requests[index].text->tokens;
  choice.echo = model.detokenize(tokens, true);
  choice.has_first = call_.has_logprobs;
  if (!choice.has_first || !choice.is_first_of_text) return choice;
  choice.drawn.push_back(
      {.drawn = {.token = tokens.front(), .bytes = model.detokenize(std::span(tokens).first(1), true)}});
  return choice;
}

serving::AnswerJob TextExchange::job_of(std::size_t index) const {
  serving::AnswerJob job{.request = call_.requests[index], .sink = AnswerPipe::sink(pipe_, index)};
  job.sink.on_gap = [&metrics = service_.metrics](double seconds) { metrics.count_gap(seconds); };
  job.request.owner = owner_;
  if (!call_.has_logprobs) return job;
  const auto put = [pipe = pipe_, index](const DrawnToken& token) { pipe->put_drawn(index, token); };
  job.request.form.on_drawn = put;
  if (call_.has_echo && choice_of_text(index) == 0) job.request.text->on_token = put;
  return job;
}

/// The tokens of a text are judged for its first choice alone: the others get what it got.
void TextExchange::share_echo() {
  if (!call_.has_echo || !call_.has_logprobs) return;
  const std::size_t first = choices_.size() - call_.n_each;
  const auto from = choices_[first].drawn.begin();
  const auto to = from + std::ssize(call_.requests[first].text->tokens);
  for (std::size_t i = first + 1; i < choices_.size(); ++i)
    choices_[i].drawn.insert(choices_[i].drawn.begin(), from, to);
}

serving::Submission TextExchange::submit() {
  const std::size_t first = choices_.size();
  std::vector<serving::AnswerJob> jobs;
  for (std::size_t i = 0; i < call_.n_each; ++i) jobs.push_back(job_of(first + i));
  const serving::Submission submission = service_.scheduler.submit(std::move(jobs));
  if (!submission.ticket) return submission;
  for (std::size_t i = 0; i < call_.n_each; ++i) {
    choices_.push_back(begun(first + i));
    running_[first + i].ticket = *submission.ticket + i;
  }
  return submission;
}

std::optional<AnswerPipe::Piece> TextExchange::next() {
  std::optional<AnswerPipe::Piece> piece = next_piece(*pipe_);
  if (!piece) return piece;
  TextChoice& choice = choices_[piece->index];
  Running& running = running_.at(piece->index);
  std::ranges::copy(piece->drawn, std::back_inserter(choice.drawn));
  if (running.seconds_first < 0) running.seconds_first = running.watch.seconds();
  if (!piece->outcome) return piece;
  if (piece->outcome->result) {
    choice.result = *piece->outcome->result;
    service_.metrics.count_answer(choice.result, running.seconds_first, running.watch.seconds());
  }
  running_.erase(piece->index);
  if (running_.empty() && !failure_of(*piece->outcome)) share_echo();
  return piece;
}

}  // namespace kvevict::http
