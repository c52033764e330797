// In place of template_format.cc where llama.cpp was built without that part of its common library.
#include "engine/template_format.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

[[noreturn]] void refuse_calls() {
  throw Error(
      ErrorCode::kUnsupported,
      "this build reads no calls of functions, since llama.cpp was built without that: leave \"tools\" "
      "out, or build llama.cpp by the set-up",
      "tools");
}

}  // namespace

struct TemplateFormats::Impl {};

TemplateFormats::TemplateFormats(const std::string&, const std::string&, const std::string&,
                                 const std::string&) {}
TemplateFormats::~TemplateFormats() = default;

bool TemplateFormats::has_calls() const noexcept {
  return false;
}
bool TemplateFormats::has_thoughts() const noexcept {
  return false;
}

AnswerFormat::Impl TemplateFormats::format(std::span<const ChatMessage>, const AnswerFormatOptions&,
                                           std::vector<std::string>&) const {
  refuse_calls();
}

AnswerFormat::Impl plain_call_format(const std::string&, const AnswerFormatOptions&) {
  refuse_calls();
}

bool reads_tool_calls() noexcept {
  return false;
}

}  // namespace kvevict
