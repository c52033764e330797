#include "runtime/template_parts.h"

#include <algorithm>

namespace kvevict {

std::optional<std::pair<std::vector<TextPart>, std::vector<TextPart>>> split_at(
    std::span<const TextPart> parts, std::string_view text) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t at = parts[i].text.find(text);
    if (at == std::string::npos) continue;
    std::vector<TextPart> before(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(i)), behind;
    if (at > 0) before.push_back({parts[i].text.substr(0, at), parts[i].parse_special});
    if (at + text.size() < parts[i].text.size())
      behind.push_back({parts[i].text.substr(at + text.size()), parts[i].parse_special});
    behind.insert(behind.end(), parts.begin() + static_cast<std::ptrdiff_t>(i) + 1, parts.end());
    return std::pair{std::move(before), std::move(behind)};
  }
  return std::nullopt;
}

std::string unused_mark(std::string mark, std::span<const ChatMessage> messages) {
  const auto has_mark = [&](const ChatMessage& one) { return one.content.find(mark) != std::string::npos; };
  while (std::any_of(messages.begin(), messages.end(), has_mark)) mark += '-';
  return mark;
}

}  // namespace kvevict
