// In place of jinja_template.cc where llama.cpp's common library is not beside llama.cpp.
#include "engine/jinja_template.h"
#include "kvevict/error.h"

namespace kvevict {

struct JinjaTemplate::Impl {};

bool reads_jinja() noexcept {
  return false;
}

JinjaTemplate::JinjaTemplate(const std::string&, std::string, std::string) {
  throw Error(
      ErrorCode::kUnsupported,
      "this build of kvevict reads no Jinja templates: it was built without llama.cpp's common library",
      "chat_template");
}

JinjaTemplate::~JinjaTemplate() = default;
JinjaTemplate::JinjaTemplate(JinjaTemplate&&) noexcept = default;
JinjaTemplate& JinjaTemplate::operator=(JinjaTemplate&&) noexcept = default;

std::vector<TextPart> JinjaTemplate::render(std::span<const ChatMessage>, const std::string&, bool) const {
  return {};
}

}  // namespace kvevict
