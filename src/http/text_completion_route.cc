// POST /v1/completions: texts are gone on with as they stand, or judged (echo and logprobs).
#include <memory>
#include <utility>

#include "http/listener.h"
#include "http/outcome.h"
#include "http/text_exchange.h"

namespace kvevict::http {
namespace {

/// A stream of events under way.
struct TextEvents {
  std::shared_ptr<TextExchange> exchange;
  bool is_over = false;
};

/// Behind a choice: the next text is asked for if it was the last one of its own, or the stream ends.
std::string end_of_text(TextEvents& events, std::size_t index) {
  TextExchange& exchange = *events.exchange;
  std::string text = text_end_event(exchange.frame(), index, exchange.choices()[index]);
  if (exchange.is_under_way()) return text;
  if (exchange.has_more()) {
    const serving::Submission submission = exchange.submit();
    if (submission.ticket) return text;
    events.is_over = true;
    return text + error_event(queue_is_full(submission));
  }
  events.is_over = true;
  if (exchange.call().includes_usage) text += text_usage_event(exchange.frame(), exchange.choices());
  return text + kEndOfEvents;
}

std::string next_events(TextEvents& events, const AnswerPipe::Piece& piece) {
  std::string text;
  if (!piece.text.empty()) text = text_event(events.exchange->frame(), piece.index, piece.text);
  if (!piece.outcome) return text;
  if (const auto failure = failure_of(*piece.outcome)) {
    events.is_over = true;
    return text + error_event(*failure);
  }
  return text + end_of_text(events, piece.index);
}

void send_text_events(const std::shared_ptr<TextExchange>& exchange, httplib::Response& response) {
  const auto events = std::make_shared<TextEvents>(TextEvents{.exchange = exchange});
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider("text/event-stream", [events](std::size_t, httplib::DataSink& sink) {
    const std::optional<AnswerPipe::Piece> piece = events->exchange->next();
    if (!piece) return false;
    const std::string text = next_events(*events, *piece);
    if (!text.empty() && !sink.write(text.data(), text.size())) return false;
    if (events->is_over) sink.done();
    return true;
  });
}

}  // namespace

void complete_text(Service& service, const httplib::Request& request, const std::string& body,
                   httplib::Response& response) {
  TextCall call = parse_text_call(body, service.served.answer, *service.served.model);
  for (const serving::ChatRequest& one : call.requests) service.pool().check(one);
  const auto exchange = std::make_shared<TextExchange>(service, std::move(call), owner_of(service, request));
  while (exchange->has_more()) {
    if (const serving::Submission submission = exchange->submit(); !submission.ticket)
      return refuse(submission, response);
    if (exchange->call().is_streamed) return send_text_events(exchange, response);
    while (exchange->is_under_way()) {
      const std::optional<AnswerPipe::Piece> piece = exchange->next();
      if (!piece) return leave(response);
      if (!piece->outcome) continue;
      if (const auto failure = failure_of(*piece->outcome)) return set_error(response, *failure);
    }
  }
  response.set_content(text_completion(exchange->frame(), exchange->choices()), kJson);
}

}  // namespace kvevict::http
