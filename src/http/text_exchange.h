#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "http/answer_pipe.h"
#include "http/service.h"
#include "http/text_answer_json.h"
#include "http/text_call.h"

namespace kvevict::http {

/// The choices of one request of /v1/completions, one after the other, and their client.
///
/// Thread safety: one thread at a time.
class TextExchange {
 public:
  TextExchange(Service& service, TextCall call, std::string owner);

  /// Cancels what its client does not wait for.
  ~TextExchange();
  TextExchange(const TextExchange&) = delete;
  TextExchange& operator=(const TextExchange&) = delete;

  [[nodiscard]] bool has_more() const { return choices_.size() < call_.requests.size(); }

  /// Asks for the next choice. REQUIRES: `has_more`, and the one before ended.
  [[nodiscard]] serving::Submission submit();

  /// The next piece of it; nothing if the client has left. The end of an answer without an error joins
  /// `choices`.
  [[nodiscard]] std::optional<AnswerPipe::Piece> next();

  [[nodiscard]] const AnswerFrame& frame() const { return frame_; }
  [[nodiscard]] const TextCall& call() const { return call_; }
  [[nodiscard]] const std::vector<TextChoice>& choices() const { return choices_; }

 private:
  [[nodiscard]] TextChoice begun() const;

  Service& service_;
  TextCall call_;
  std::string owner_;
  AnswerFrame frame_;
  std::shared_ptr<AnswerPipe> pipe_ = std::make_shared<AnswerPipe>();
  std::optional<serving::Ticket> ticket_{};  // of an answer that is under way
  TextChoice choice_{};                      // likewise
  std::vector<TextChoice> choices_{};
  Stopwatch watch_{};
  double seconds_first_ = -1;
};

}  // namespace kvevict::http
