#include "runtime/document_text.h"

#include <string>
#include <utility>

#include "kvevict/error.h"
#include "runtime/template_parts.h"

namespace kvevict {
namespace {

DocumentText document_in_chat(const Model& model, std::string_view text, const DocumentOptions& options) {
  const PromptTemplate prompt_template(model, options.prompt_template);
  std::vector<ChatMessage> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  messages.push_back({"user", std::string(text)});
  const std::string mark = unused_mark("kvevict-question-1", messages);
  messages.back().content += mark;
  auto split = split_at(prompt_template.render(messages), mark);
  if (!split) {
    throw Error(ErrorCode::kUnsupported,
                "the chat template of " + model.info().name + " leaves the user's message out",
                "chat_template");
  }
  return {prompt_template.tokens(split->first), std::move(split->second)};
}

}  // namespace

DocumentText document_text(const Model& model, std::string_view text, const DocumentOptions& options) {
  if (options.is_chat) return document_in_chat(model, text, options);
  const TextPart part{std::string(text), options.parse_special};
  return {model.tokenize({&part, 1}, true), {}};
}

}  // namespace kvevict
