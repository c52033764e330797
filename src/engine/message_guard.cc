#include "engine/message_guard.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "engine/control_tokens.h"

namespace kvevict {
namespace {

// Four bytes of UTF-8 each: F3 B0 80 80 is U+F0000, the first of plane 15's 65,534 characters of private use.
constexpr std::size_t kGuardBytes = 4;
constexpr std::size_t kMostGuards = 65534;
constexpr std::string_view kPlane15 = "\xF3";

std::string guard_character(std::size_t i) {
  return {'\xF3', static_cast<char>(0xB0 + (i >> 12U)), static_cast<char>(0x80 + ((i >> 6U) & 0x3FU)),
          static_cast<char>(0x80 + (i & 0x3FU))};
}

/// Which guard begins at `at`; kMostGuards if none.
std::size_t guard_at(std::string_view text, std::size_t at) {
  if (text.size() < at + kGuardBytes || text[at] != '\xF3') return kMostGuards;
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(text[at + i]));
  };
  if (byte(1) < 0xB0 || byte(1) > 0xBF) return kMostGuards;
  return (byte(1) - 0xB0) << 12U | (byte(2) & 0x3FU) << 6U | (byte(3) & 0x3FU);
}

void push(std::vector<TextPart>& parts, std::string_view text, bool parse_special) {
  if (text.empty()) return;
  if (!parts.empty() && parts.back().parse_special == parse_special)
    parts.back().text += text;
  else
    parts.push_back({std::string(text), parse_special});
}

/// `text` with a guard for each of `tokens`, and for each character that could be taken for a guard. In one
/// pass: a guard that stands is never looked at again.
std::string hide_in(std::string_view text, const std::vector<ControlToken>& tokens,
                    std::vector<std::string>& hidden) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    std::string_view found = guard_at(text, at) < kMostGuards ? text.substr(at, kGuardBytes) : "";
    for (const ControlToken& token : tokens) {
      if (found.empty() && text.substr(at).starts_with(token.text)) found = token.text;
    }
    const auto seen = std::find(hidden.begin(), hidden.end(), found);
    const auto i = static_cast<std::size_t>(seen - hidden.begin());
    if (found.empty() || i == kMostGuards) {
      result += text[at++];
      continue;
    }
    if (seen == hidden.end()) hidden.emplace_back(found);
    result += guard_character(i);
    at += found.size();
  }
  return result;
}

}  // namespace

std::vector<TextPart> GuardedMessages::reveal(std::vector<TextPart> parts) const {
  if (hidden.empty()) return parts;
  std::vector<TextPart> revealed;
  for (const TextPart& part : parts) {
    const std::string_view text = part.text;
    std::size_t begin = 0;
    for (std::size_t at = text.find(kPlane15); at != std::string_view::npos; at = text.find(kPlane15, at)) {
      const std::size_t i = guard_at(text, at);
      if (i >= hidden.size()) {
        ++at;
        continue;
      }
      push(revealed, text.substr(begin, at - begin), part.parse_special);
      push(revealed, hidden[i], false);
      begin = at += kGuardBytes;
    }
    push(revealed, text.substr(begin), part.parse_special);
  }
  return revealed;
}

GuardedMessages guarded(std::span<const ControlToken> all, std::span<const ChatMessage> messages) {
  GuardedMessages result{.messages = {messages.begin(), messages.end()}, .hidden = {}};
  const auto hide = [&](std::string& text) {
    text = hide_in(text, control_tokens_in(all, text), result.hidden);
  };
  for (ChatMessage& message : result.messages) {
    hide(message.tools);
    if (message.role != "assistant") hide(message.content);
  }
  return result;
}

}  // namespace kvevict
