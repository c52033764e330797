#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "http/answer_pipe.h"
#include "http/chat_answer.h"
#include "http/chat_call.h"
#include "http/service.h"

namespace kvevict::http {

/// What a call asks for, with what the model's template says of its answers. Errors: those of
/// `ConversationPool::check` and `format_of`.
[[nodiscard]] ChatCall with_format(const Service& service, ChatCall call);

/// The answers to one request, and their client.
///
/// Thread safety: one thread at a time.
class ChatExchange {
 public:
  ChatExchange(Service& service, ChatCall call, std::string owner);

  /// Cancels what its client does not wait for.
  ~ChatExchange();
  ChatExchange(const ChatExchange&) = delete;
  ChatExchange& operator=(const ChatExchange&) = delete;

  /// Asks for all answers, once.
  [[nodiscard]] serving::Submission submit();

  /// Whether one of them has not ended.
  [[nodiscard]] bool is_under_way() const { return !running_.empty(); }

  /// The next piece of one of them, which its index tells; nothing if the client has left. REQUIRES:
  /// `is_under_way`.
  [[nodiscard]] std::optional<AnswerPipe::Piece> next();

  /// What `piece` adds to its answer; of a request that is not streamed nothing.
  [[nodiscard]] std::vector<AnswerDelta> take(const AnswerPipe::Piece& piece);

  /// The tokens of an answer since the last call, if they are asked for.
  [[nodiscard]] std::vector<DrawnToken> take_drawn(std::size_t index) {
    return std::exchange(choices_[index].drawn, {});
  }

  [[nodiscard]] const AnswerFrame& frame() const { return frame_; }
  /// Without its request, once that was submitted.
  [[nodiscard]] const ChatCall& call() const { return call_; }

  /// All answers; whole once they have ended.
  [[nodiscard]] const std::vector<AnsweredChoice>& choices() const { return choices_; }

 private:
  struct Running {
    serving::Ticket ticket = 0;
    AnswerReader reader;
    Stopwatch watch{};
    double seconds_first = -1;
  };

  [[nodiscard]] serving::AnswerJob job_of(std::size_t index);

  Service& service_;
  ChatCall call_;
  AnswerFrame frame_;
  std::shared_ptr<AnswerPipe> pipe_ = std::make_shared<AnswerPipe>();
  std::map<std::size_t, Running> running_{};  // by the answer's number
  std::vector<AnsweredChoice> choices_;
};

}  // namespace kvevict::http
