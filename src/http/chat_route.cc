// POST /v1/chat/completions: from the body to the queue, and from the pipe to the client.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/stopwatch.h"
#include "http/answer_pipe.h"
#include "http/chat_answer.h"
#include "http/listener.h"
#include "http/service.h"

namespace kvevict::http {
namespace {

constexpr std::chrono::milliseconds kLookAtClient{50};
constexpr int kClientLeft = 499;  // for /metrics

/// An answer under way and its client.
class Exchange {
 public:
  Exchange(Service& service, ChatCall call, std::string owner)
      : service_(service), call_(std::move(call)), frame_(make_frame(service.model_name())) {
    call_.request.owner = std::move(owner);
  }

  /// Cancels what its client does not wait for.
  ~Exchange() {
    if (ticket_ && !is_ended_) service_.scheduler.cancel(*ticket_);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] serving::Submission submit() {
    serving::Submission submission = service_.scheduler.submit(
        call_.request,
        {.on_text = [pipe = pipe_](std::string_view text) { pipe->put_text(text); },
         .on_end = [pipe = pipe_](const serving::Outcome& outcome) { pipe->put_end(outcome); }});
    ticket_ = submission.ticket;
    return submission;
  }

  /// The next piece; nothing if the client has left.
  [[nodiscard]] std::optional<AnswerPipe::Piece> next() {
    const Connection* const connection = Connection::current();
    while (true) {
      AnswerPipe::Piece piece = pipe_->take(kLookAtClient);
      if (connection != nullptr && connection->is_gone()) return std::nullopt;
      if (piece.is_empty()) continue;
      if (seconds_first_ < 0) seconds_first_ = watch_.seconds();
      if (piece.outcome) end(*piece.outcome);
      return piece;
    }
  }

  [[nodiscard]] const AnswerFrame& frame() const { return frame_; }
  [[nodiscard]] const ChatCall& call() const { return call_; }

  bool has_begun = false;                    // of a stream: its first event was written
  std::optional<AnswerPipe::Piece> first{};  // of a stream: what came before its status was sent

 private:
  void end(const serving::Outcome& outcome) {
    is_ended_ = true;
    if (outcome.result)
      service_.metrics.count_answer(outcome.result->answer, seconds_first_, watch_.seconds());
  }

  Service& service_;
  ChatCall call_;
  AnswerFrame frame_;
  std::shared_ptr<AnswerPipe> pipe_ = std::make_shared<AnswerPipe>();
  std::optional<serving::Ticket> ticket_{};
  bool is_ended_ = false;
  Stopwatch watch_{};
  double seconds_first_ = -1;
};

/// Why an outcome is no answer: an error, or one that the server stopped.
std::optional<ApiError> failure_of(const serving::Outcome& outcome) {
  if (outcome.error) return api_error_of(*outcome.error);
  if (outcome.result->answer.end == AnswerEnd::kStopped)
    return api_error_of(Error(ErrorCode::kCancelled, "the answer was stopped"));
  return std::nullopt;
}

std::string events_of(Exchange& exchange, const AnswerPipe::Piece& piece) {
  std::string events;
  if (!std::exchange(exchange.has_begun, true)) events += first_event(exchange.frame());
  if (!piece.text.empty()) events += text_event(exchange.frame(), piece.text);
  if (!piece.outcome) return events;
  if (const auto failure = failure_of(*piece.outcome)) return events + error_event(*failure);
  events += last_event(exchange.frame(), *piece.outcome->result);
  if (exchange.call().includes_usage) events += usage_event(exchange.frame(), *piece.outcome->result);
  return events + kEndOfEvents;
}

void stream(const std::shared_ptr<Exchange>& exchange, httplib::Response& response) {
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider(
      "text/event-stream", [exchange](std::size_t, httplib::DataSink& sink) {
        const std::optional<AnswerPipe::Piece> piece =
            exchange->first ? std::exchange(exchange->first, std::nullopt) : exchange->next();
        if (!piece) return false;
        const std::string events = events_of(*exchange, *piece);
        if (!sink.write(events.data(), events.size())) return false;
        if (piece->outcome) sink.done();
        return true;
      });
}

void refuse(const serving::Submission& submission, httplib::Response& response) {
  response.set_header("Retry-After", std::to_string(submission.seconds_to_wait));
  set_error(response,
            {.status = 503,
             .message = fmt::format("the queue is full, or the server is shutting down: try again in "
                                    "{} seconds",
                                    submission.seconds_to_wait),
             .type = "server_error",
             .code = "queue_full"});
}

}  // namespace

void answer_chat(Service& service, const httplib::Request& request, const std::string& body,
                 httplib::Response& response) {
  ChatCall call = parse_chat_call(body, service.served.answer);
  service.pool().check(call.request);
  const auto exchange = std::make_shared<Exchange>(service, std::move(call), owner_of(service, request));
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
        set_error(response, *failure);
        return;
      }
    }
    if (exchange->call().is_streamed) {
      exchange->first = std::move(piece);
      stream(exchange, response);
      return;
    }
    if (!piece->outcome) continue;
    response.set_content(completion(exchange->frame(), *piece->outcome->result), kJson);
    return;
  }
}

}  // namespace kvevict::http
