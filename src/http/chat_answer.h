#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/api_error.h"
#include "serving/chat_request.h"

namespace kvevict::http {

/// What all parts of one answer have in common.
struct AnswerFrame {
  std::string id{};
  std::int64_t created = 0;  ///< Seconds since 1970.
  std::string model{};
};

/// A frame with an id of its own, of now.
[[nodiscard]] AnswerFrame make_frame(const std::string& model);

/// A whole answer, "chat.completion".
[[nodiscard]] std::string completion(const AnswerFrame& frame, const serving::ChatResult& result);

/// The events of a stream, "chat.completion.chunk", each with its "data: " and the empty line behind it.
[[nodiscard]] std::string first_event(const AnswerFrame& frame);
[[nodiscard]] std::string text_event(const AnswerFrame& frame, std::string_view text);
[[nodiscard]] std::string last_event(const AnswerFrame& frame, const serving::ChatResult& result);
[[nodiscard]] std::string usage_event(const AnswerFrame& frame, const serving::ChatResult& result);
[[nodiscard]] std::string error_event(const ApiError& error);
inline constexpr const char* kEndOfEvents = "data: [DONE]\n\n";

}  // namespace kvevict::http
