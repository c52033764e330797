#include "runtime/recorded_message.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kvevict {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

/// Whether two texts are the same JSON, which a program may have read and written anew.
bool is_same_json(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto left = nlohmann::json::parse(a, nullptr, false);
  return !left.is_discarded() && left == nlohmann::json::parse(b, nullptr, false);
}

bool is_same_call(const ToolCall& a, const ToolCall& b) {
  return a.name == b.name && is_same_json(a.arguments, b.arguments);
}

bool is_same(const ChatMessage& a, const ChatMessage& b) {
  if (a.role != b.role || !is_same_json(a.tools, b.tools)) return false;
  if (!std::ranges::equal(a.tool_calls, b.tool_calls, is_same_call)) return false;
  return a.content == b.content ||
         (a.role == "assistant" && without_thoughts(a.content) == without_thoughts(b.content));
}

}  // namespace

ChatMessage answer_message(const std::string& text, const AnswerFormat* format) {
  return format == nullptr ? ChatMessage{"assistant", text} : format->read(text);
}

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
