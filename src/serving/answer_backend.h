#pragma once

#include <functional>
#include <string_view>

#include "serving/chat_request.h"

namespace kvevict::serving {

/// What makes the answers that a `Scheduler` hands out.
class AnswerBackend {
 public:
  AnswerBackend() = default;
  AnswerBackend(const AnswerBackend&) = delete;
  AnswerBackend& operator=(const AnswerBackend&) = delete;
  virtual ~AnswerBackend() = default;

  /// Answers and streams to `on_text`. One call at a time. Errors: kInvalidArgument, kBadData and
  /// kUnsupported for a request that can never be answered; others for what failed.
  virtual ChatResult answer(const ChatRequest& request,
                            const std::function<void(std::string_view)>& on_text) = 0;

  /// true: the answer under way ends within one token, as one that was stopped, and so do later ones; false:
  /// later ones go on. Any thread.
  virtual void set_cancelled(bool is_cancelled) noexcept = 0;
};

}  // namespace kvevict::serving
