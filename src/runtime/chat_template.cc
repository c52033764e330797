#include "runtime/chat_template.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/long_list.h"
#include "kvevict/error.h"
#include "runtime/document_text.h"
#include "runtime/template_parts.h"

namespace kvevict {
namespace {

// Texts that stand for messages while the template is taken apart; no template has them.
constexpr std::string_view kMessage = "kvevict-message-1";
constexpr std::string_view kAnswer = "kvevict-answer-1";
constexpr std::string_view kDocument = "kvevict-document-1";
constexpr std::string_view kThoughtfulAnswer = "<think>\nkvevict-thought-1\n</think>\n\nkvevict-answer-1\n";

[[noreturn]] void refuse(const Model& model) {
  throw Error(ErrorCode::kUnsupported,
              "the chat template of " + model.info().name +
                  " cannot be applied turn by turn: it leaves messages or answers out",
              "chat_template");
}

std::vector<ChatMessage> with(std::vector<ChatMessage> messages, std::string_view role,
                              std::string_view content) {
  messages.push_back({std::string(role), std::string(content)});
  return messages;
}

}  // namespace

ChatTemplate::ChatTemplate(const Model& model, std::string system, const TemplateOptions& options)
    : template_(model, options), model_(&model) {
  if (!system.empty()) opening_.push_back({"system", std::move(system)});
  const auto first = split_at(template_.render(with(opening_, "user", kMessage)), kMessage);
  if (!first || !split_at(parts_behind_an_answer(kMessage), kMessage)) refuse(model);
  rewrites_answers_ = finds_answers_rewritten();
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

bool ChatTemplate::finds_answers_rewritten() const {
  const std::vector<ChatMessage> messages =
      with(with(with(opening_, "user", "?"), "assistant", kThoughtfulAnswer), "user", kMessage);
  try {
    return text_of(template_.render(messages)).find(kThoughtfulAnswer) == std::string::npos;
  } catch (const Error&) {
    return false;  // it was shown another answer and did not refuse that
  }
}

std::vector<Token> ChatTemplate::first_turn(std::string_view message) const {
  return whole(with(opening_, "user", message));
}

std::vector<Token> ChatTemplate::next_turn(std::string_view message) const {
  return template_.tokens(parts_behind_an_answer(message), false);
}

std::vector<Token> ChatTemplate::whole(std::span<const ChatMessage> messages) const {
  if (document_.empty()) return history_.tokens(*model_, template_, messages);
  const std::string mark = unused_mark(std::string(kDocument), messages);
  std::vector<ChatMessage> marked(messages.begin(), messages.end());
  const auto first = std::ranges::find(marked, "user", &ChatMessage::role);
  if (first == marked.end())
    throw Error(ErrorCode::kInvalidArgument,
                "the list has no message of a user, which the document would stand before", "messages");
  first->content.insert(0, mark + std::string(kBeforeQuestion));
  const auto split = split_at(template_.render(marked), mark);
  if (!split) refuse(*model_);
  const std::vector<Token> behind = template_.tokens(split->second, false);
  std::vector<Token> tokens = document_;
  tokens.insert(tokens.end(), behind.begin(), behind.end());
  return tokens;
}

std::optional<std::vector<Token>> ChatTemplate::behind_answer(std::span<const ChatMessage> messages,
                                                              std::size_t n_before) const {
  const std::string mark = unused_mark(std::string(kAnswer), messages);
  std::vector<ChatMessage> marked(messages.begin(), messages.end());
  marked[n_before - 1] = {"assistant", mark};  // which stands for its thoughts and calls, too
  const auto split = split_at(template_.render(marked), mark);
  if (!split) return std::nullopt;
  return template_.tokens(split->second, false);
}

std::size_t ChatTemplate::count_unsettled(std::span<const ChatMessage> messages) const {
  const std::vector<ChatMessage> last = shortened(messages);
  std::vector<Token> now, later;
  try {
    now = template_.tokens(template_.render(last));
    later = template_.tokens(template_.render(with(with(last, "assistant", kAnswer), "user", "?")));
  } catch (const Error&) {
    return 0;  // no history that the template takes: nothing is known about it
  }
  const auto end = now.begin() + static_cast<std::ptrdiff_t>(std::min(now.size(), later.size()));
  return static_cast<std::size_t>(now.end() - std::mismatch(now.begin(), end, later.begin()).first);
}

}  // namespace kvevict
