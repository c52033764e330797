#include "engine/template_format.h"

#include <chat-peg-parser.h>
#include <chat.h>
#include <json-schema-to-grammar.h>
#include <json.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "engine/plain_calls.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// Of a model's thoughts.
struct ThoughtMarks {
  std::string begin{}, end{};
  std::string written{};  ///< What the template writes in front of an answer; may begin the thoughts.
};

[[noreturn]] void refuse_tools(const std::exception& why) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string("no grammar of calls can be made of these functions: ") + why.what(), "tools");
}

common_chat_msg common_message(const ChatMessage& message) {
  common_chat_msg made;
  made.role = message.role;
  made.content = message.content;
  made.reasoning_content = message.reasoning;
  made.tool_name = message.name;
  made.tool_call_id = message.tool_call_id;
  for (const ToolCall& call : message.tool_calls)
    made.tool_calls.push_back({.name = call.name, .arguments = call.arguments, .id = call.id});
  return made;
}

ChatMessage message_from(const common_chat_msg& read) {
  ChatMessage message{"assistant", read.content, read.reasoning_content};
  for (const common_chat_tool_call& call : read.tool_calls)
    message.tool_calls.push_back({.id = call.id, .name = call.name, .arguments = call.arguments});
  return message;
}

class CommonParser final : public AnswerParser {
 public:
  explicit CommonParser(common_chat_parser_params params) : params_(std::move(params)) {}

  [[nodiscard]] ChatMessage parse(const std::string& text, bool is_whole) const override {
    return message_from(common_chat_parse(text, !is_whole, params_));
  }

 private:
  common_chat_parser_params params_;
};

/// The functions that may be called.
std::vector<common_chat_tool> tools_of(const std::string& tools, const std::string& only) {
  std::vector<common_chat_tool> all = common_chat_tools_parse_oaicompat(common_json::parse(tools));
  if (!only.empty()) std::erase_if(all, [&](const common_chat_tool& tool) { return tool.name != only; });
  return all;
}

std::string escaped(const std::string& word) {
  constexpr std::string_view kSpecial = ".[]{}()*+?^$|\\";
  std::string pattern;
  for (const char c : word) {
    if (kSpecial.find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::string pattern_of(const common_grammar_trigger& trigger) {
  if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN) return trigger.value;
  if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL) return "^(?:" + trigger.value + ")$";
  return escaped(trigger.value);
}

std::map<std::string, std::string> kwargs_of(const std::string& values) {
  std::map<std::string, std::string> kwargs;
  if (values.empty()) return kwargs;
  const common_json json = common_json::parse(values);
  for (const auto& [name, value] : json.items()) kwargs[name] = value.dump();
  return kwargs;
}

AnswerFormat::Impl format_of(const common_chat_params& params, std::vector<std::string>& shown) {
  AnswerFormat::Impl format{.grammar = params.grammar, .stops = params.additional_stops};
  if (params.grammar_lazy) {
    for (const common_grammar_trigger& trigger : params.grammar_triggers)
      format.start.triggers.push_back(pattern_of(trigger));
  } else if (!params.grammar.empty()) {
    format.start.written = params.generation_prompt;
  }
  common_chat_parser_params parser(params);
  if (!params.parser.empty()) parser.parser.load(params.parser);
  format.parser = std::make_shared<CommonParser>(std::move(parser));
  shown = params.preserved_tokens;
  if (!params.thinking_start_tag.empty()) shown.push_back(params.thinking_start_tag);
  shown.insert(shown.end(), params.thinking_end_tags.begin(), params.thinking_end_tags.end());
  return format;
}

common_peg_parser thoughts(common_chat_peg_builder& p, const ThoughtMarks& marks) {
  if (marks.end.empty()) return p.eps();
  common_peg_parser text = p.reasoning(p.until(marks.end)) + p.literal(marks.end) + p.space();
  if (marks.begin.empty()) return p.optional(text);
  return p.optional(p.space() + p.literal(marks.begin) + text);
}

/// A name that grammars take: theirs have no "_".
std::string arguments_rule(const common_chat_tool& tool) {
  std::string rule = "arguments-" + tool.name;
  std::ranges::replace(rule, '_', '-');
  return rule;
}

common_peg_parser call_of(common_chat_peg_builder& p, const common_chat_tool& tool) {
  const common_json schema =
      common_chat_tool_parameters({{"parameters", common_json::parse(tool.parameters)}});
  return p.tool(p.tool_open(p.literal(std::string(kCallBegin)) + p.tool_name(p.literal(tool.name)) +
                            p.literal(std::string(kCallArguments))) +
                p.tool_args(p.schema(p.json(), arguments_rule(tool), schema)) +
                p.tool_close(p.literal(std::string(kCallEnd))));
}

common_peg_arena plain_parser(const std::vector<common_chat_tool>& tools, const AnswerFormatOptions& options,
                              const ThoughtMarks& marks) {
  return build_chat_peg_parser([&](common_chat_peg_builder& p) {
    common_peg_parser call = p.choice();
    for (const common_chat_tool& tool : tools) call |= call_of(p, tool);
    common_peg_parser calls = p.trigger_rule(
        "tool-calls", options.parallel_calls.value_or(false) ? call + p.zero_or_more("\n" + call) : call);
    const common_peg_parser before = p.prefix(marks.written, marks.begin) + thoughts(p, marks);
    if (options.tool_choice == ToolChoice::kNone) return before + p.content(p.rest()) + p.end();
    if (options.tool_choice == ToolChoice::kRequired) return before + calls + p.end();
    return before + p.content(p.until(std::string(kCallTrigger))) + p.optional(calls) + p.end();
  });
}

/// Without the white space that a grammar of JSON allows behind it: calls come back as they are written.
void end_tightly(std::string& grammar, const std::string& rule) {
  constexpr std::string_view kSpace = " space";
  const std::size_t begin = ("\n" + grammar).find("\n" + rule + " ::= ");
  if (begin == std::string::npos) return;
  const std::size_t end = std::min(grammar.find('\n', begin), grammar.size());
  if (std::string_view(grammar).substr(0, end).ends_with(kSpace))
    grammar.erase(end - kSpace.size(), kSpace.size());
}

AnswerFormat::Impl plain_format(const std::string& tools, const AnswerFormatOptions& options,
                                const ThoughtMarks& marks) {
  const std::vector<common_chat_tool> callable = tools_of(tools, options.function);
  const common_peg_arena arena = plain_parser(callable, options, marks);
  AnswerFormat::Impl format;
  if (options.tool_choice != ToolChoice::kNone) {
    const bool is_lazy = options.tool_choice == ToolChoice::kAuto;
    format.grammar =
        build_grammar([&](const common_grammar_builder& builder) { arena.build_grammar(builder, is_lazy); });
    for (const common_chat_tool& tool : callable) end_tightly(format.grammar, arguments_rule(tool));
    if (is_lazy)
      format.start.triggers = {escaped(std::string(kCallTrigger))};
    else
      format.start.written = marks.written;
  }
  common_chat_parser_params parser;
  parser.format = COMMON_CHAT_FORMAT_PEG_NATIVE;
  parser.generation_prompt = marks.written;
  parser.parser = arena;
  format.parser = std::make_shared<CommonParser>(std::move(parser));
  return format;
}

}  // namespace

struct TemplateFormats::Impl {
  common_chat_templates_ptr templates{};
  std::map<std::string, std::string> kwargs{};
  bool thinks_if_not_told = true;
  bool has_calls = false;
  bool has_thoughts = false;
  bool has_parallel_calls = false;
  ThoughtMarks marks{};

  [[nodiscard]] common_chat_params apply(std::span<const ChatMessage> messages, const std::string& tools,
                                         const AnswerFormatOptions& options) const {
    common_chat_templates_inputs inputs;
    for (const ChatMessage& message : messages) inputs.messages.push_back(common_message(message));
    if (!tools.empty()) inputs.tools = tools_of(tools, options.function);
    inputs.tool_choice = options.tool_choice == ToolChoice::kNone       ? COMMON_CHAT_TOOL_CHOICE_NONE
                         : options.tool_choice == ToolChoice::kRequired ? COMMON_CHAT_TOOL_CHOICE_REQUIRED
                                                                        : COMMON_CHAT_TOOL_CHOICE_AUTO;
    inputs.parallel_tool_calls = options.parallel_calls.value_or(has_parallel_calls);
    inputs.reasoning_format =
        options.separates_reasoning ? COMMON_REASONING_FORMAT_AUTO : COMMON_REASONING_FORMAT_NONE;
    inputs.enable_thinking = thinks_if_not_told;
    inputs.chat_template_kwargs = kwargs;
    return common_chat_templates_apply(templates.get(), inputs);
  }

  /// Finds out what there is, by an answer of each kind.
  void probe() {
    const std::vector<ChatMessage> hello = {{"user", "hello"}};
    const common_chat_params plain = apply(hello, "", {});
    has_thoughts = plain.supports_thinking;
    marks.written = plain.generation_prompt;
    if (has_thoughts) marks.begin = plain.thinking_start_tag;
    if (has_thoughts && !plain.thinking_end_tags.empty()) marks.end = plain.thinking_end_tags.front();
    const std::map<std::string, bool> caps = common_chat_templates_get_caps(templates.get());
    if (!caps.at("supports_tools") || !caps.at("supports_tool_calls")) return;
    has_parallel_calls = caps.at("supports_parallel_tool_calls");
    constexpr const char* kTool =
        R"([{"type":"function","function":{"name":"probe","description":"d","parameters":
            {"type":"object","properties":{"x":{"type":"string"}},"required":["x"]}}}])";
    has_calls = !apply(hello, kTool, {.tool_choice = ToolChoice::kRequired}).grammar.empty();
  }
};

TemplateFormats::TemplateFormats(const std::string& source, const std::string& bos, const std::string& eos,
                                 const std::string& values)
    : impl_(std::make_unique<Impl>()) {
  try {
    impl_->templates = common_chat_templates_init(nullptr, source, bos, eos);
    impl_->kwargs = kwargs_of(values);
    const auto thinks = impl_->kwargs.find("enable_thinking");
    impl_->thinks_if_not_told = thinks == impl_->kwargs.end() || thinks->second != "false";
    impl_->probe();
  } catch (const std::exception&) {
    impl_->has_calls = false;
  }
}

TemplateFormats::~TemplateFormats() = default;

bool TemplateFormats::has_calls() const noexcept {
  return impl_->has_calls;
}
bool TemplateFormats::has_thoughts() const noexcept {
  return impl_->has_thoughts;
}

AnswerFormat::Impl TemplateFormats::format(std::span<const ChatMessage> messages,
                                           const AnswerFormatOptions& options,
                                           std::vector<std::string>& shown) const {
  const std::string tools = tools_in(messages);
  try {
    if (!tools.empty() && !impl_->has_calls) {
      const ThoughtMarks marks = options.separates_reasoning ? impl_->marks : ThoughtMarks{};
      if (!marks.begin.empty()) shown.push_back(marks.begin);
      if (!marks.end.empty()) shown.push_back(marks.end);
      return plain_format(tools, options, marks.end.empty() ? ThoughtMarks{} : marks);
    }
    return format_of(impl_->apply(messages, tools, options), shown);
  } catch (const std::exception& error) {
    refuse_tools(error);
  }
}

AnswerFormat::Impl plain_call_format(const std::string& tools, const AnswerFormatOptions& options) {
  try {
    return plain_format(tools, options, {});
  } catch (const std::exception& error) {
    refuse_tools(error);
  }
}

bool reads_tool_calls() noexcept {
  return true;
}

}  // namespace kvevict
