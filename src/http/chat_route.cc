// POST /v1/chat/completions: from the body to the queue, and from the pipe to the client.
#include <fmt/format.h>

#include <memory>
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
  bool has_begun = false;                    // the choice's first event was written
  bool is_over = false;
};

/// Behind a choice: that of the next one begins, or the stream ends.
std::string end_of_choice(EventStream& stream) {
  ChatExchange& exchange = *stream.exchange;
  stream.has_begun = false;
  if (exchange.has_more()) {
    const serving::Submission submission = exchange.submit();
    if (submission.ticket) return {};
    stream.is_over = true;
    return error_event(queue_is_full(submission));
  }
  stream.is_over = true;
  std::string events;
  if (exchange.call().includes_usage) events += usage_event(exchange.frame(), exchange.choices());
  return events + kEndOfEvents;
}

std::string events_of(EventStream& stream, const AnswerPipe::Piece& piece) {
  ChatExchange& exchange = *stream.exchange;
  const std::size_t index = exchange.index();
  std::string events;
  if (!std::exchange(stream.has_begun, true)) events += first_event(exchange.frame(), index);
  for (const AnswerDelta& delta : exchange.take(piece))
    events += delta_event(exchange.frame(), index, delta, exchange.take_drawn());
  if (!piece.outcome) return events;
  if (const auto failure = failure_of(*piece.outcome)) {
    stream.is_over = true;
    return events + error_event(*failure);
  }
  events += last_event(exchange.frame(), index, exchange.choices().back(), exchange.take_drawn());
  return events + end_of_choice(stream);
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

/// What a call asks for, with what the model's template says of its answers. Errors: those of
/// `ConversationPool::check` and `format_of`.
ChatCall complete(const Service& service, ChatCall call) {
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

}  // namespace

void answer_chat(Service& service, const httplib::Request& request, const std::string& body,
                 httplib::Response& response) {
  ChatCall call = complete(service, parse_chat_call(body, service.served.answer));
  const auto exchange = std::make_shared<ChatExchange>(service, std::move(call), owner_of(service, request));
  if (const serving::Submission submission = exchange->submit(); !submission.ticket) {
    refuse(submission, response);
    return;
  }
  while (true) {
    std::optional<AnswerPipe::Piece> piece = exchange->next();
    if (!piece) {  // nobody reads what is written
      response.status = kClientLeft;
      Connection::current()->close_after_answer();
      return;
    }
    if (piece->outcome) {
      if (const auto failure = failure_of(*piece->outcome)) {
        (void)exchange->take(*piece);
        set_error(response, *failure);
        return;
      }
    }
    if (exchange->call().is_streamed) {
      send_events(exchange, std::move(*piece), response);
      return;
    }
    (void)exchange->take(*piece);
    if (!piece->outcome) continue;
    if (exchange->has_more()) {
      if (const serving::Submission submission = exchange->submit(); !submission.ticket) {
        refuse(submission, response);
        return;
      }
      continue;
    }
    response.set_content(completion(exchange->frame(), exchange->choices()), kJson);
    return;
  }
}

}  // namespace kvevict::http
