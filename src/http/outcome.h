#pragma once

#include <optional>

#include "http/answer_pipe.h"
#include "http/service.h"

namespace kvevict::http {

/// The next piece of an answer that this connection's client waits for, not empty; nothing if the client has
/// left.
[[nodiscard]] std::optional<AnswerPipe::Piece> next_piece(AnswerPipe& pipe);

/// Why an outcome is no answer: an error, or one that the server stopped.
[[nodiscard]] std::optional<ApiError> failure_of(const serving::Outcome& outcome);

/// What a refused request is told: HTTP 503, with when to try again.
[[nodiscard]] ApiError queue_is_full(const serving::Submission& submission);
void refuse(const serving::Submission& submission, httplib::Response& response);

/// Ends an answer whose client left: nobody reads what is written.
void leave(httplib::Response& response);

}  // namespace kvevict::http
