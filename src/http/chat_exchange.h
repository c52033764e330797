#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "http/answer_pipe.h"
#include "http/chat_answer.h"
#include "http/chat_call.h"
#include "http/service.h"

namespace kvevict::http {

/// The answers to one request, one after the other, and their client. Several answers to one list are made in
/// turn, each behind what all share, so that they take one conversation's place; the last one stays in it.
///
/// Thread safety: one thread at a time.
class ChatExchange {
 public:
  ChatExchange(Service& service, ChatCall call, std::string owner);

  /// Cancels what its client does not wait for.
  ~ChatExchange();
  ChatExchange(const ChatExchange&) = delete;
  ChatExchange& operator=(const ChatExchange&) = delete;

  /// Asks for the next answer. REQUIRES: `has_more`, and the one before ended.
  [[nodiscard]] serving::Submission submit();
  [[nodiscard]] bool has_more() const;

  /// The next piece of the answer; nothing if the client has left.
  [[nodiscard]] std::optional<AnswerPipe::Piece> next();

  /// What `piece` adds to the answer that it belongs to; of a request that is not streamed nothing. An answer
  /// that ends without an error joins `choices`.
  [[nodiscard]] std::vector<AnswerDelta> take(const AnswerPipe::Piece& piece);

  /// The tokens since the last call, if they are asked for.
  [[nodiscard]] std::vector<DrawnToken> take_drawn() { return std::exchange(unsent_, {}); }

  [[nodiscard]] const AnswerFrame& frame() const { return frame_; }
  [[nodiscard]] const ChatCall& call() const { return call_; }
  [[nodiscard]] const std::vector<AnsweredChoice>& choices() const { return choices_; }

  /// The choice that the next piece belongs to.
  [[nodiscard]] std::size_t index() const { return choices_.size(); }

 private:
  void end(const serving::ChatResult& result);

  Service& service_;
  ChatCall call_;
  AnswerFrame frame_;
  std::shared_ptr<AnswerPipe> pipe_ = std::make_shared<AnswerPipe>();
  std::optional<serving::Ticket> ticket_{};  // of an answer that is under way
  std::uint32_t first_seed_;
  AnswerReader reader_;
  std::vector<DrawnToken> unsent_{};
  std::vector<AnsweredChoice> choices_{};
  Stopwatch watch_{};
  double seconds_first_ = -1;
};

}  // namespace kvevict::http
