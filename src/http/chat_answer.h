#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/api_error.h"
#include "serving/chat_request.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// What all parts of the answers to one request have in common.
struct AnswerFrame {
  std::string id{};
  std::int64_t created = 0;  ///< Seconds since 1970.
  std::string model{};
  std::string fingerprint{};  ///< Of what makes answers: with another one, a seed may give another answer.
  bool has_logprobs = false;
};

/// One of the answers to a request.
struct AnsweredChoice {
  serving::ChatResult result{};
  ChatMessage message{};  ///< The answer, read.
  std::vector<DrawnToken> drawn{};
};

/// A frame with an id of its own, of now.
[[nodiscard]] AnswerFrame make_frame(const std::string& model, const std::string& fingerprint);

/// What the server says of a conversation beside an answer.
[[nodiscard]] JsonReader::Json extension_json(const serving::ConversationFigures& figures);

/// Whole answers, "chat.completion": a choice each, and counts of all. REQUIRES: one or more.
[[nodiscard]] std::string completion(const AnswerFrame& frame, std::span<const AnsweredChoice> choices);

/// The events of a stream, "chat.completion.chunk", each with its "data: " and the empty line behind it;
/// `index` is that of the choice, `drawn` the tokens since the event before.
[[nodiscard]] std::string first_event(const AnswerFrame& frame, std::size_t index);
[[nodiscard]] std::string delta_event(const AnswerFrame& frame, std::size_t index, const AnswerDelta& delta,
                                      std::span<const DrawnToken> drawn);
[[nodiscard]] std::string last_event(const AnswerFrame& frame, std::size_t index,
                                     const AnsweredChoice& choice, std::span<const DrawnToken> drawn);
[[nodiscard]] std::string usage_event(const AnswerFrame& frame, std::span<const AnsweredChoice> choices);
[[nodiscard]] std::string error_event(const ApiError& error);
inline constexpr const char* kEndOfEvents = "data: [DONE]\n\n";

}  // namespace kvevict::http
