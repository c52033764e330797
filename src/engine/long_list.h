#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "kvevict/chat_message.h"

namespace kvevict {

/// The two ends of a long list, by which a template writes what stands at its end: the opening, which is all
/// up to the second message of a user, and the last turns, from the third last message of a user on.
struct ListEnds {
  std::size_t n_opening = 0;   ///< Messages of the opening.
  std::size_t last_turns = 0;  ///< Where the last turns begin; above `n_opening`.
};

/// Nothing for a list that has nothing between its ends.
[[nodiscard]] std::optional<ListEnds> ends_of(std::span<const ChatMessage> messages);

/// `messages` without what stands between `ends`.
[[nodiscard]] std::vector<ChatMessage> between_left_out(std::span<const ChatMessage> messages,
                                                        const ListEnds& ends);

/// The ends of a list, or all of it.
[[nodiscard]] std::vector<ChatMessage> shortened(std::span<const ChatMessage> messages);

}  // namespace kvevict
