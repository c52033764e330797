#include "http/chat_exchange.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "http/outcome.h"

namespace kvevict::http {

ChatExchange::ChatExchange(Service& service, ChatCall call, std::string owner)
    : service_(service),
      call_(std::move(call)),
      frame_(make_frame(service.model_name())),
      first_seed_(call_.request.form.sampling.seed),
      reader_(call_.request.form.format) {
  call_.request.owner = std::move(owner);
  frame_.has_logprobs = call_.has_logprobs;
  if (call_.has_logprobs)
    call_.request.form.on_drawn = [pipe = pipe_](const DrawnToken& token) { pipe->put_drawn(token); };
}

ChatExchange::~ChatExchange() {
  if (ticket_) service_.scheduler.cancel(*ticket_);
}

serving::Submission ChatExchange::submit() {
  call_.request.form.sampling.seed = first_seed_ + static_cast<std::uint32_t>(index());
  reader_ = AnswerReader(call_.request.form.format);
  watch_ = {};
  seconds_first_ = -1;
  serving::Submission submission = service_.scheduler.submit(
      call_.request, {.on_text = [pipe = pipe_](std::string_view text) { pipe->put_text(text); },
                      .on_end = [pipe = pipe_](const serving::Outcome& outcome) { pipe->put_end(outcome); }});
  ticket_ = submission.ticket;
  return submission;
}

bool ChatExchange::has_more() const {
  return static_cast<int>(index()) < call_.n_choices;
}

std::optional<AnswerPipe::Piece> ChatExchange::next() {
  std::optional<AnswerPipe::Piece> piece = next_piece(*pipe_);
  if (!piece) return piece;
  if (seconds_first_ < 0) seconds_first_ = watch_.seconds();
  if (piece->outcome) ticket_.reset();
  return piece;
}

std::vector<AnswerDelta> ChatExchange::take(const AnswerPipe::Piece& piece) {
  std::ranges::copy(piece.drawn, std::back_inserter(unsent_));
  const bool is_streamed = call_.is_streamed;
  std::vector<AnswerDelta> deltas;
  if (is_streamed) deltas = reader_.add(piece.text);
  if (!piece.outcome || !piece.outcome->result) return deltas;
  const serving::ChatResult& result = *piece.outcome->result;
  if (!is_streamed) (void)reader_.add(result.answer.text);
  for (AnswerDelta& delta : reader_.finish()) deltas.push_back(std::move(delta));
  end(result);
  return deltas;
}

void ChatExchange::end(const serving::ChatResult& result) {
  service_.metrics.count_answer(result.answer, seconds_first_, watch_.seconds());
  if (result.answer.end == AnswerEnd::kStopped) return;
  AnsweredChoice choice{.result = result, .message = reader_.message()};
  if (!call_.is_streamed) choice.drawn = take_drawn();
  choices_.push_back(std::move(choice));
}

}  // namespace kvevict::http
