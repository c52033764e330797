#include "engine/jinja_template.h"

#include <jinja/caps.h>
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <json.h>

#include <utility>

#include "engine/plain_calls.h"
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

/// As an object, where the template wants one and the model wrote one to its end.
common_json arguments_of(const std::string& text, const jinja::caps& caps) {
  if (!caps.supports_object_arguments) return common_json(text);
  const common_json json = common_json::parse_no_throw(text);
  return json.is_object() ? json : common_json(text);
}

common_json json_of(std::span<const ToolCall> calls, const jinja::caps& caps) {
  common_json all = common_json::array();
  for (const ToolCall& call : calls) {
    common_json function = common_json::object();
    function["name"] = call.name;
    function["arguments"] = arguments_of(call.arguments, caps);
    common_json one = common_json::object();
    if (!call.id.empty()) one["id"] = call.id;
    one["type"] = "function";
    one["function"] = function;
    all.push_back(one);
  }
  return all;
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
    if (!message.reasoning.empty()) one["reasoning_content"] = message.reasoning;
    if (!message.name.empty()) one["name"] = message.name;
    if (!message.tool_call_id.empty()) one["tool_call_id"] = message.tool_call_id;
    if (!message.tool_calls.empty()) one["tool_calls"] = json_of(message.tool_calls, caps);
    all.push_back(one);
  }
  return all;
}

bool is_said(const std::string& name) {
  return name == "content" || name == "reasoning_content" || name == "arguments";
}

/// Only what a message says is a message's text: its role, or the type of a part, is the template's.
void keep_marks_of_content_only(jinja::value& value, bool is_content) {
  if (jinja::is_val<jinja::value_string>(value) && !is_content) {
    for (jinja::string_part& part : value->val_str.parts) part.is_input = false;
  }
  for (jinja::value& item : value->val_arr) keep_marks_of_content_only(item, is_content);
  for (auto& [key, item] : value->val_obj) {
    const std::string name = key->as_string().str();
    keep_marks_of_content_only(item, is_said(name) || (is_content && name != "type"));
  }
}

/// Null if there are none, as the transformers library has it.
common_json tools_of(std::span<const ChatMessage> messages) {
  const std::string tools = tools_in(messages);
  if (tools.empty()) return nullptr;
  try {
    return common_json::parse(tools);
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kInvalidArgument, std::string("the functions are not a JSON list: ") + e.what(),
                "tools");
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
  globals["tools"] = tools_of(messages);
  globals["documents"] = nullptr;
  globals["enable_thinking"] =
      true;  // unless `values` says no; llama.cpp reads the answer as one with thoughts
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
