// POST /v1/chat/completions: from the body to the queue, and from the pipe to the client.
#include <fmt/format.h>

#include <memory>
#include <set>
#include <utility>

#include "http/chat_exchange.h"
#include "http/listener.h"
#include "http/outcome.h"
#include "http/service.h"

namespace kvevict::http {
namespace {

/// A stream of events under way.
struct EventStream {
  std::shared_ptr<ChatExchange> exchange;
  std::optional<AnswerPipe::Piece> first{};  // what came before its status was sent
  std::set<std::size_t> begun{};             // choices whose first events were written
  bool is_over = false;
};

std::string events_of(EventStream& stream, const AnswerPipe::Piece& piece) {
  ChatExchange& exchange = *stream.exchange;
  const AnswerFrame& frame = exchange.frame();
  const std::size_t index = piece.index;
  std::string events;
  if (stream.begun.insert(index).second) events += first_event(frame, index);
  for (const AnswerDelta& delta : exchange.take(piece))
    events += delta_event(frame, index, delta, exchange.take_drawn(index));
  if (!piece.outcome) return events;
  if (const auto failure = failure_of(*piece.outcome)) {
    stream.is_over = true;
    return events + error_event(*failure);
  }
  events += last_event(frame, index, exchange.choices()[index], exchange.take_drawn(index));
  if (exchange.is_under_way()) return events;
  stream.is_over = true;
  if (exchange.call().includes_usage) events += usage_event(frame, exchange.choices());
  return events + kEndOfEvents;
}

void send_events(const std::shared_ptr<ChatExchange>& exchange, AnswerPipe::Piece first,
                 httplib::Response& response) {
  const auto stream =
      std::make_shared<EventStream>(EventStream{.exchange = exchange, .first = std::move(first)});
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider("text/event-stream", [stream](std::size_t, httplib::DataSink& sink) {
    const std::optional<AnswerPipe::Piece> piece =
        stream->first ? std::exchange(stream->first, std::nullopt) : stream->exchange->next();
    if (!piece) return false;
    const std::string events = events_of(*stream, *piece);
    if (!events.empty() && !sink.write(events.data(), events.size())) return false;
    if (stream->is_over) sink.done();
    return true;
  });
}

}  // namespace

void answer_chat(Service& service, const httplib::Request& request, const std::string& body,
                 httplib::Response& response) {
  const auto exchange = std::make_shared<ChatExchange>(
      service, with_format(service, parse_chat_call(body, service.served.answer)),
      owner_of(service, request));
  if (const serving::Submission submission = exchange->submit(); !submission.ticket)
    return refuse(submission, response);
  while (exchange->is_under_way()) {
    std::optional<AnswerPipe::Piece> piece = exchange->next();
    if (!piece) return leave(response);
    const auto failure = piece->outcome ? failure_of(*piece->outcome) : std::nullopt;
    if (!failure && exchange->call().is_streamed) return send_events(exchange, std::move(*piece), response);
    (void)exchange->take(*piece);
    if (failure) return set_error(response, *failure);
  }
  response.set_content(completion(exchange->frame(), exchange->choices()), kJson);
}

}  // namespace kvevict::http
