#include "runtime/chat_template.h"

#include <optional>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

// Texts that stand for messages while the template is taken apart; no template has them.
constexpr std::string_view kMessage = "kvevict-message-1";
constexpr std::string_view kAnswer = "kvevict-answer-1";

[[noreturn]] void refuse(const Model& model) {
  throw Error(ErrorCode::kUnsupported,
              "the chat template of " + model.info().name +
                  " cannot be applied turn by turn: it leaves messages or answers out",
              "chat_template");
}

/// The parts in front of the first place of `text` and those behind it; nothing if they lack it.
std::optional<std::pair<std::vector<TextPart>, std::vector<TextPart>>> split_at(
    const std::vector<TextPart>& parts, std::string_view text) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t at = parts[i].text.find(text);
    if (at == std::string::npos) continue;
    const auto here = parts.begin() + static_cast<std::ptrdiff_t>(i);
    std::vector<TextPart> before(parts.begin(), here), behind;
    if (at > 0) before.push_back({parts[i].text.substr(0, at), parts[i].parse_special});
    if (at + text.size() < parts[i].text.size())
      behind.push_back({parts[i].text.substr(at + text.size()), parts[i].parse_special});
    behind.insert(behind.end(), here + 1, parts.end());
    return std::pair{std::move(before), std::move(behind)};
  }
  return std::nullopt;
}

std::vector<ChatMessage> with(std::vector<ChatMessage> messages, std::string_view role,
                              std::string_view content) {
  messages.push_back({std::string(role), std::string(content)});
  return messages;
}

}  // namespace

ChatTemplate::ChatTemplate(const Model& model, std::string system, const TemplateOptions& options)
    : template_(model, options) {
  if (!system.empty()) opening_.push_back({"system", std::move(system)});
  const auto first = split_at(template_.render(with(opening_, "user", kMessage)), kMessage);
  if (!first || !split_at(parts_behind_an_answer(kMessage), kMessage)) refuse(model);
  n_system_tokens_ = static_cast<std::int64_t>(template_.tokens(first->first).size());
}

std::vector<TextPart> ChatTemplate::parts_behind_an_answer(std::string_view message) const {
  // The first message differs from the new one, and the new one is the last: a template that treats the last
  // message, or the one before an answer, in its own way does so here too.
  const std::vector<TextPart> parts =
      template_.render(with(with(with(opening_, "user", "?"), "assistant", kAnswer), "user", message));
  auto split = split_at(parts, kAnswer);
  return split ? std::move(split->second) : std::vector<TextPart>{};
}

std::vector<Token> ChatTemplate::first_turn(std::string_view message) const {
  return template_.tokens(template_.render(with(opening_, "user", message)));
}

std::vector<Token> ChatTemplate::next_turn(std::string_view message) const {
  return template_.tokens(parts_behind_an_answer(message), false);
}

}  // namespace kvevict
