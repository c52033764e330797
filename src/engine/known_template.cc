#include "engine/known_template.h"

#include <llama.h>

#include "engine/llama_log.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// Empty if llama.cpp does not know the template.
std::string apply(const std::string& source, const std::vector<llama_chat_message>& chat,
                  bool begins_answer) {
  const LlamaLogCapture log;
  std::string prompt(4096, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    const std::int32_t n = llama_chat_apply_template(source.c_str(), chat.data(), chat.size(), begins_answer,
                                                     prompt.data(), static_cast<std::int32_t>(prompt.size()));
    if (n < 0) return {};
    const bool fits = static_cast<std::size_t>(n) <= prompt.size();
    prompt.resize(static_cast<std::size_t>(n));
    if (fits) break;
  }
  return prompt;
}

/// Stands for a message while the template is applied, which takes C strings: a message may hold any
/// character.
std::string mark_of(std::size_t i) {
  return "kvevict-message-" + std::to_string(i) + ".";
}

}  // namespace

std::vector<std::string> known_chat_templates() {
  const std::int32_t n = llama_chat_builtin_templates(nullptr, 0);
  std::vector<const char*> names(static_cast<std::size_t>(n));
  llama_chat_builtin_templates(names.data(), names.size());
  return {names.begin(), names.end()};
}

void require_known_template(const std::string& source, const std::string& model_name) {
  if (!apply(source, {{"user", "message"}}, true).empty()) return;
  throw Error(
      ErrorCode::kUnsupported,
      "llama.cpp does not know the chat template of " + model_name +
          ", and this build reads no Jinja templates: name one of its known templates, or ask without one",
      "chat");
}

std::vector<TextPart> render_known_template(const std::string& source,
                                              std::span<const ChatMessage> messages, bool begins_answer) {
  std::vector<std::string> marks;
  std::vector<llama_chat_message> chat;
  for (std::size_t i = 0; i < messages.size(); ++i) marks.push_back(mark_of(i));
  for (std::size_t i = 0; i < messages.size(); ++i)
    chat.push_back({messages[i].role.c_str(), marks[i].c_str()});
  const std::string prompt = apply(source, chat, begins_answer);
  std::vector<TextPart> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::size_t at = prompt.find(marks[i], begin);
    if (at == std::string::npos) continue;  // a template without a place for it
    if (at > begin) parts.push_back({prompt.substr(begin, at - begin), true});
    if (!messages[i].content.empty()) parts.push_back({messages[i].content, false});
    begin = at + marks[i].size();
  }
  if (begin < prompt.size()) parts.push_back({prompt.substr(begin), true});
  return parts;
}

}  // namespace kvevict
