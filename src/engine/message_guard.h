#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/control_token.h"
#include "kvevict/prompt_template.h"

namespace kvevict {

/// Messages in which a character of Unicode's private use stands for each control token that was written out.
struct GuardedMessages {
  std::vector<ChatMessage> messages;
  std::vector<std::string> hidden;  ///< What the characters stand for, from kFirstGuard on.

  /// The parts with the written tokens back, as text of messages.
  [[nodiscard]] std::vector<TextPart> reveal(std::vector<TextPart> parts) const;
};

/// Keeps control tokens that stand in a message's text from being read as such, whatever the template does
/// with the text: what a template splits or replaces is no longer known to come from a message. Answers are
/// left alone: their own markers, such as the end of a thought, are what templates look for. `all`: the
/// control tokens of the model; O(all) for each message.
[[nodiscard]] GuardedMessages guarded(std::span<const ControlToken> all,
                                      std::span<const ChatMessage> messages);

}  // namespace kvevict
