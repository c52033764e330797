#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// The parts in front of the first place of `text` and those behind it; nothing if they lack it.
[[nodiscard]] std::optional<std::pair<std::vector<TextPart>, std::vector<TextPart>>> split_at(
    std::span<const TextPart> parts, std::string_view text);

/// `mark`, with a tail so long that none of `messages` has it.
[[nodiscard]] std::string unused_mark(std::string mark, std::span<const ChatMessage> messages);

}  // namespace kvevict
