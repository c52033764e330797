#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/answer_format.h"
#include "kvevict/model.h"

namespace kvevict {

/// A message of a conversation.
struct RecordedMessage {
  ChatMessage message;
  /// Of an answer that the model made here: tokens of the conversation up to its end.
  std::optional<std::int64_t> n_tokens{};
};

/// An answer's text as a message; `format`: null for one that is content alone.
[[nodiscard]] ChatMessage answer_message(const std::string& text, const AnswerFormat* format);

/// What an answer says behind its thoughts (<think>…</think>), without white space at either end.
[[nodiscard]] std::string_view without_thoughts(std::string_view answer);

/// How many messages at the beginning of both lists are the same; an answer is if it says the same behind its
/// thoughts and calls the same functions, whatever the calls' ids are.
[[nodiscard]] std::size_t count_same(std::span<const ChatMessage> given,
                                     std::span<const RecordedMessage> recorded);

[[nodiscard]] std::vector<ChatMessage> messages_of(std::span<const RecordedMessage> recorded);

}  // namespace kvevict
