#include "http/chat_exchange.h"

#include <algorithm>
#include <iterator>

#include "http/outcome.h"

namespace kvevict::http {

ChatCall with_format(const Service& service, ChatCall call) {
  AnswerOptions& form = call.request.form;
  if (form.grammar.empty()) form.format = service.pool().format_of(call.request, call.format);
  if (form.format && !form.format->grammar().empty()) form.sampling.ignores_end = false;
  try {
    service.pool().check(call.request);
  } catch (const Error& error) {
    if (error.field() != "grammar") throw;
    throw Error(error.code(), error.what(), form.format ? "tools" : "response_format");
  }
  return call;
}

ChatExchange::ChatExchange(Service& service, ChatCall call, std::string owner)
    : service_(service),
      call_(std::move(call)),
      frame_(make_frame(service.model_name(), service.fingerprint)),
      choices_(static_cast<std::size_t>(call_.n_choices)) {
  call_.request.owner = std::move(owner);
  frame_.has_logprobs = call_.has_logprobs;
}

ChatExchange::~ChatExchange() {
  for (const auto& [index, one] : running_) service_.scheduler.cancel(one.ticket);
}

/// The last answer takes the messages: a history may be long.
serving::AnswerJob ChatExchange::job_of(std::size_t index) {
  const bool is_last = index + 1 == choices_.size();
  serving::AnswerJob job{.request = is_last ? std::move(call_.request) : call_.request,
                         .sink = AnswerPipe::sink(pipe_, index)};
  job.sink.on_gap = [&metrics = service_.metrics](double seconds) { metrics.count_gap(seconds); };
  job.request.form.sampling.seed += static_cast<std::uint32_t>(index);
  if (call_.has_logprobs)
    job.request.form.on_drawn = [pipe = pipe_, index](const DrawnToken& token) {
      pipe->put_drawn(index, token);
    };
  return job;
}

serving::Submission ChatExchange::submit() {
  const std::shared_ptr<const AnswerFormat> format = call_.request.form.format;
  std::vector<serving::AnswerJob> jobs;
  for (std::size_t i = 0; i < choices_.size(); ++i) jobs.push_back(job_of(i));
  const serving::Submission submission = service_.scheduler.submit(std::move(jobs));
  if (!submission.ticket) return submission;
  for (std::size_t i = 0; i < choices_.size(); ++i)
    running_.emplace(i, Running{.ticket = *submission.ticket + i, .reader = AnswerReader(format)});
  return submission;
}

std::optional<AnswerPipe::Piece> ChatExchange::next() {
  std::optional<AnswerPipe::Piece> piece = next_piece(*pipe_);
  if (!piece) return piece;
  Running& running = running_.at(piece->index);
  if (running.seconds_first < 0) running.seconds_first = running.watch.seconds();
  return piece;
}

std::vector<AnswerDelta> ChatExchange::take(const AnswerPipe::Piece& piece) {
  Running& running = running_.at(piece.index);
  AnsweredChoice& choice = choices_[piece.index];
  std::ranges::copy(piece.drawn, std::back_inserter(choice.drawn));
  std::vector<AnswerDelta> deltas;
  if (call_.is_streamed) deltas = running.reader.add(piece.text);
  if (!piece.outcome) return deltas;
  if (piece.outcome->result) {
    choice.result = *piece.outcome->result;
    if (!call_.is_streamed) (void)running.reader.add(choice.result.answer.text);
    for (AnswerDelta& delta : running.reader.finish()) deltas.push_back(std::move(delta));
    choice.message = running.reader.message();
    service_.metrics.count_answer(choice.result, running.seconds_first, running.watch.seconds());
  }
  running_.erase(piece.index);
  return deltas;
}

}  // namespace kvevict::http
