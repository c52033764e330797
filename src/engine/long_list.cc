#include "engine/long_list.h"

#include <algorithm>

namespace kvevict {
namespace {

constexpr int kLastTurns = 3;

bool is_of_user(const ChatMessage& message) {
  return message.role == "user";
}

}  // namespace

std::optional<ListEnds> ends_of(std::span<const ChatMessage> messages) {
  const auto first = std::ranges::find_if(messages, is_of_user);
  if (first == messages.end()) return std::nullopt;
  const auto second = std::find_if(first + 1, messages.end(), is_of_user);
  ListEnds ends{.n_opening = static_cast<std::size_t>(second - messages.begin()),
                .last_turns = messages.size()};
  for (int n_turns = 0; n_turns < kLastTurns && ends.last_turns > ends.n_opening;) {
    if (is_of_user(messages[--ends.last_turns])) ++n_turns;
  }
  return ends.last_turns > ends.n_opening ? std::optional(ends) : std::nullopt;
}

std::vector<ChatMessage> between_left_out(std::span<const ChatMessage> messages, const ListEnds& ends) {
  const auto last = messages.subspan(ends.last_turns);
  std::vector<ChatMessage> left(messages.begin(),
                                messages.begin() + static_cast<std::ptrdiff_t>(ends.n_opening));
  left.insert(left.end(), last.begin(), last.end());
  return left;
}

std::vector<ChatMessage> shortened(std::span<const ChatMessage> messages) {
  const std::optional<ListEnds> ends = ends_of(messages);
  return ends ? between_left_out(messages, *ends)
              : std::vector<ChatMessage>(messages.begin(), messages.end());
}

}  // namespace kvevict
