#include "engine/jinja_template.h"

#include <jinja/caps.h>
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <json.h>

#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

common_json content_of(const std::string& text, const jinja::caps& caps) {
  if (caps.supports_string_content || !caps.supports_typed_content) return common_json(text);
  common_json part = common_json::object();
  part["type"] = "text";
  part["text"] = text;
  common_json parts = common_json::array();
  parts.push_back(part);
  return parts;
}

common_json json_of(std::span<const ChatMessage> messages, const jinja::caps& caps) {
  common_json all = common_json::array();
  std::string ahead;  // of the next message: a system message that the template has no place for
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == "system" && !caps.supports_system_role && i + 1 < messages.size()) {
      ahead += message.content + "\n";
      continue;
    }
    common_json one = common_json::object();
    one["role"] = message.role;
    one["content"] = content_of(ahead + message.content, caps);
    ahead.clear();
    all.push_back(one);
  }
  return all;
}

/// Only what a message says is a message's text: its role, or the type of a part, is the template's.
void keep_marks_of_content_only(jinja::value& value, bool is_content) {
  if (jinja::is_val<jinja::value_string>(value) && !is_content) {
    for (jinja::string_part& part : value->val_str.parts) part.is_input = false;
  }
  for (jinja::value& item : value->val_arr) keep_marks_of_content_only(item, is_content);
  for (auto& [key, item] : value->val_obj) {
    const std::string name = key->as_string().str();
    keep_marks_of_content_only(item, name == "content" || (is_content && name != "type"));
  }
}

void set_values(jinja::context& context, const std::string& values) {
  if (values.empty()) return;
  try {
    jinja::global_from_json(context, common_json::parse(values), false);
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kInvalidArgument,
                "the template's values are not a JSON object: \"" + values + "\" (" + e.what() + ")",
                "template_kwargs");
  }
}

}  // namespace

struct JinjaTemplate::Impl {
  jinja::program program;
  jinja::caps caps;
  std::string source, bos, eos;
};

bool reads_jinja() noexcept {
  return true;
}

JinjaTemplate::JinjaTemplate(const std::string& source, std::string bos, std::string eos) {
  try {
    jinja::lexer lexer;
    const jinja::lexer_result read = lexer.tokenize(source);
    impl_ = std::make_unique<Impl>(Impl{.program = jinja::parse_from_tokens(read),
                                        .caps = {},
                                        .source = read.source,
                                        .bos = std::move(bos),
                                        .eos = std::move(eos)});
    impl_->caps = jinja::caps_get(impl_->program);
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kBadData,
                std::string("the chat template is not Jinja that can be read: ") + e.what());
  }
}

JinjaTemplate::~JinjaTemplate() = default;
JinjaTemplate::JinjaTemplate(JinjaTemplate&&) noexcept = default;
JinjaTemplate& JinjaTemplate::operator=(JinjaTemplate&&) noexcept = default;

std::vector<TextPart> JinjaTemplate::render(std::span<const ChatMessage> messages, const std::string& values,
                                            bool begins_answer) const {
  jinja::context context(impl_->source);
  common_json globals = common_json::object();
  globals["bos_token"] = impl_->bos;
  globals["eos_token"] = impl_->eos;
  globals["add_generation_prompt"] = begins_answer;
  globals["tools"] = nullptr;  // as the transformers library: there, and none
  globals["documents"] = nullptr;
  jinja::global_from_json(context, globals, false);
  set_values(context, values);
  common_json said = common_json::object();
  said["messages"] = json_of(messages, impl_->caps);
  jinja::global_from_json(context, said, true);
  jinja::value marked = context.get_val("messages");
  keep_marks_of_content_only(marked, false);
  try {
    jinja::runtime runtime(context);
    const jinja::value_string text = jinja::runtime::gather_string_parts(runtime.execute(impl_->program));
    std::vector<TextPart> parts;
    for (const jinja::string_part& part : text->val_str.parts) {
      if (!part.val.empty()) parts.push_back({part.val, !part.is_input});
    }
    return parts;
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kUnsupported,
                std::string("the model's chat template refuses these messages: ") + e.what(),
                "chat_template");
  }
}

}  // namespace kvevict
