// llama.cpp's own list of chat templates, applied to messages whose texts it never sees.
#include "engine/known_template.h"

#include <llama.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "engine/llama_log.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr const char* kField = "chat_template";
constexpr std::string_view kStandIn = "kvevict-message-";
constexpr std::string_view kWhite = " \t\n\v\f\r";

/// Empty if llama.cpp does not know the template. It takes C strings: no message may have a NUL character.
std::string apply(const std::string& source, std::span<const ChatMessage> messages, bool begins_answer) {
  std::vector<llama_chat_message> chat;
  for (const ChatMessage& message : messages) chat.push_back({message.role.c_str(), message.content.c_str()});
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

/// Messages with stand-ins for what they say, and what they say. A template then can neither be cut off by a
/// character of a message nor take a part of it for its own. White space around a text stays in its message,
/// so that a template which trims its messages does so.
struct MarkedMessages {
  std::vector<ChatMessage> messages;
  std::vector<std::string> texts;  // empty: nothing but white space, without a stand-in
};

MarkedMessages marked(std::span<const ChatMessage> messages) {
  MarkedMessages result;
  for (const ChatMessage& message : messages) {
    const std::string& content = message.content;
    const std::size_t begin = std::min(content.find_first_not_of(kWhite), content.size());
    const std::size_t end = content.find_last_not_of(kWhite) + 1;
    result.texts.push_back(begin < end ? content.substr(begin, end - begin) : "");
    ChatMessage with_stand_in = message;
    if (begin < end) {
      const std::string stand_in = std::string(kStandIn) + std::to_string(result.messages.size()) + "-";
      with_stand_in.content.replace(begin, end - begin, stand_in);
    }
    result.messages.push_back(std::move(with_stand_in));
  }
  return result;
}

/// A stand-in that a text begins with.
struct FoundStandIn {
  std::size_t message = 0;
  std::size_t n_bytes = 0;
};

std::optional<FoundStandIn> stand_in_at(std::string_view text, std::size_t n_messages) {
  const char* const number = text.data() + kStandIn.size();
  const char* const end = text.data() + text.size();
  FoundStandIn found;
  const auto [stop, error] = std::from_chars(number, end, found.message);
  if (error != std::errc() || stop == end || *stop != '-' || found.message >= n_messages) return std::nullopt;
  found.n_bytes = static_cast<std::size_t>(stop + 1 - text.data());
  return found;
}

}  // namespace

std::vector<std::string> known_chat_templates() {
  std::vector<const char*> names(static_cast<std::size_t>(llama_chat_builtin_templates(nullptr, 0)));
  llama_chat_builtin_templates(names.data(), names.size());
  return {names.begin(), names.end()};
}

void require_known_template(const std::string& source, const std::string& model_name) {
  const ChatMessage message{"user", "message"};
  if (!apply(source, {&message, 1}, true).empty()) return;
  throw Error(ErrorCode::kUnsupported,
              "llama.cpp does not know the chat template of " + model_name +
                  (reads_jinja() ? ", and it is not Jinja that can be read"
                                 : ", and this build of kvevict reads no Jinja templates"),
              kField);
}

std::vector<TextPart> render_known_template(const std::string& source, std::span<const ChatMessage> messages,
                                            bool begins_answer) {
  const MarkedMessages with_stand_ins = marked(messages);
  const std::string whole = apply(source, with_stand_ins.messages, begins_answer);
  std::vector<bool> is_found(messages.size());
  std::vector<TextPart> parts;
  std::size_t from = 0;  // of the template's own text that is not yet in `parts`
  for (std::size_t at = whole.find(kStandIn); at != std::string::npos; at = whole.find(kStandIn, at + 1)) {
    const auto found = stand_in_at(std::string_view(whole).substr(at), messages.size());
    if (!found) continue;
    if (at > from) parts.push_back({whole.substr(from, at - from), true});
    parts.push_back({with_stand_ins.texts[found->message], false});
    is_found[found->message] = true;
    from = at + found->n_bytes;
  }
  if (from < whole.size()) parts.push_back({whole.substr(from), true});
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (is_found[i] || with_stand_ins.texts[i].empty()) continue;
    throw Error(
        ErrorCode::kUnsupported,
        "the chat template " + source.substr(0, 40) + " leaves out a message of the role " + messages[i].role,
        kField);
  }
  return parts;
}

}  // namespace kvevict
