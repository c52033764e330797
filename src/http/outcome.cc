#include "http/outcome.h"

#include <fmt/format.h>

#include <string>

#include "http/listener.h"

namespace kvevict::http {
namespace {

constexpr std::chrono::milliseconds kLookAtClient{50};
constexpr int kClientLeft = 499;  // for /metrics

}  // namespace

std::optional<AnswerPipe::Piece> next_piece(AnswerPipe& pipe) {
  const Connection* const connection = Connection::current();
  while (true) {
    AnswerPipe::Piece piece = pipe.take(kLookAtClient);
    if (connection != nullptr && connection->is_gone()) return std::nullopt;
    if (!piece.is_empty()) return piece;
  }
}

std::optional<ApiError> failure_of(const serving::Outcome& outcome) {
  if (outcome.error) return api_error_of(*outcome.error);
  if (outcome.result->answer.end == AnswerEnd::kStopped)
    return api_error_of(Error(ErrorCode::kCancelled, "the answer was stopped"));
  return std::nullopt;
}

ApiError queue_is_full(const serving::Submission& submission) {
  return {.status = 503,
          .message = fmt::format("the queue is full, or the server is shutting down: try again in "
                                 "{} seconds",
                                 submission.seconds_to_wait),
          .type = "server_error",
          .code = "queue_full",
          .seconds_to_wait = submission.seconds_to_wait};
}

void refuse(const serving::Submission& submission, httplib::Response& response) {
  set_error(response, queue_is_full(submission));
}

void leave(httplib::Response& response) {
  response.status = kClientLeft;
  Connection::current()->close_after_answer();
}

}  // namespace kvevict::http
