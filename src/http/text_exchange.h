#pragma once

#include <map>
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

/// The choices of one request of /v1/completions and their client: those of a text together, text after text.
///
/// Thread safety: one thread at a time.
class TextExchange {
 public:
  TextExchange(Service& service, TextCall call, std::string owner);

  /// Cancels what its client does not wait for.
  ~TextExchange();
  TextExchange(const TextExchange&) = delete;
  TextExchange& operator=(const TextExchange&) = delete;

  /// Whether a text has not been asked for yet.
  [[nodiscard]] bool has_more() const { return choices_.size() < call_.requests.size(); }

  /// Whether a choice of the last text that was asked for has not ended.
  [[nodiscard]] bool is_under_way() const { return !running_.empty(); }

  /// Asks for the choices of the next text. REQUIRES: `has_more`, and not `is_under_way`.
  [[nodiscard]] serving::Submission submit();

  /// The next piece of one of them, which its index tells; nothing if the client has left. REQUIRES:
  /// `is_under_way`.
  [[nodiscard]] std::optional<AnswerPipe::Piece> next();

  [[nodiscard]] const AnswerFrame& frame() const { return frame_; }
  [[nodiscard]] const TextCall& call() const { return call_; }

  /// Those that were asked for; whole once they have ended.
  [[nodiscard]] const std::vector<TextChoice>& choices() const { return choices_; }

 private:
  struct Running {
    serving::Ticket ticket = 0;
    Stopwatch watch{};
    double seconds_first = -1;
  };

  [[nodiscard]] std::size_t choice_of_text(std::size_t index) const { return index % call_.n_each; }
  void share_echo();
  [[nodiscard]] TextChoice begun(std::size_t index) const;
  [[nodiscard]] serving::AnswerJob job_of(std::size_t index) const;

  Service& service_;
  TextCall call_;
  std::string owner_;
  AnswerFrame frame_;
  std::shared_ptr<AnswerPipe> pipe_ = std::make_shared<AnswerPipe>();
  std::map<std::size_t, Running> running_{};  // by the choice's number
  std::vector<TextChoice> choices_{};
};

}  // namespace kvevict::http
