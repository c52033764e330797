#include "runtime/recorded_message.h"

#include <algorithm>

namespace kvevict {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

bool is_same(const ChatMessage& a, const ChatMessage& b) {
  if (a.role != b.role) return false;
  return a.content == b.content ||
         (a.role == "assistant" && without_thoughts(a.content) == without_thoughts(b.content));
}

}  // namespace

std::string_view without_thoughts(std::string_view answer) {
  constexpr std::string_view kEnd = "</think>";
  const std::size_t at = answer.rfind(kEnd);
  if (at != std::string_view::npos) answer.remove_prefix(at + kEnd.size());
  answer.remove_prefix(std::min(answer.find_first_not_of(kWhiteSpace), answer.size()));
  return answer.substr(0, answer.find_last_not_of(kWhiteSpace) + 1);
}

std::size_t count_same(std::span<const ChatMessage> given, std::span<const RecordedMessage> recorded) {
  std::size_t n = 0;
  while (n < given.size() && n < recorded.size() && is_same(given[n], recorded[n].message)) ++n;
  return n;
}

std::vector<ChatMessage> messages_of(std::span<const RecordedMessage> recorded) {
  std::vector<ChatMessage> messages;
  for (const RecordedMessage& one : recorded) messages.push_back(one.message);
  return messages;
}

}  // namespace kvevict
