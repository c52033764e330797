#include "engine/message_guard.h"

#include <llama.h>

#include <algorithm>
#include <string_view>
#include <utility>

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

MessageGuard::MessageGuard(const Model& model) {
  const llama_vocab* const vocab = llama_model_get_vocab(model.handle());
  for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
    const std::string_view text = llama_vocab_get_text(vocab, token);
    if (llama_vocab_is_control(vocab, token) && !text.empty()) control_tokens_.emplace_back(text);
  }
  std::stable_sort(control_tokens_.begin(), control_tokens_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

GuardedMessages MessageGuard::guard(std::span<const ChatMessage> messages) const {
  GuardedMessages guarded{.messages = {messages.begin(), messages.end()}, .hidden = {}};
  const auto hide = [&](std::string& text, const std::string& token) {
    std::size_t at = text.find(token);
    if (at == std::string::npos) return;
    const auto seen = std::find(guarded.hidden.begin(), guarded.hidden.end(), token);
    const auto i = static_cast<std::size_t>(seen - guarded.hidden.begin());
    if (i == kMostGuards) return;
    if (seen == guarded.hidden.end()) guarded.hidden.push_back(token);
    for (; at != std::string::npos; at = text.find(token, at + kGuardBytes))
      text.replace(at, token.size(), guard_character(i));
  };
  for (ChatMessage& message : guarded.messages) {
    if (message.role == "assistant") continue;
    // a character that could be taken for a guard is hidden as well
    for (std::size_t at = message.content.find(kPlane15); at != std::string::npos;
         at = message.content.find(kPlane15, at + kGuardBytes)) {
      if (guard_at(message.content, at) < kMostGuards) {
        hide(message.content, message.content.substr(at, kGuardBytes));
      }
    }
    for (const std::string& token : control_tokens_) hide(message.content, token);
  }
  return guarded;
}

}  // namespace kvevict
