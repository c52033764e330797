#include "cli/prompt_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/model_run.h"
#include "kvevict/error.h"
#include "text/utf8.h"

namespace kvevict::cli {

void PromptFlags::add_to(CLI::App& app) {
  add_option(app, "system", system, "System prompt")->option_text("TEXT");
  add_option(
      app, "chat_template", chat_template,
      "Write messages by this template instead of the model's own: a file in Jinja, or a name such as chatml")
      ->option_text("NAME|FILE");
  add_option(app, "template_kwargs", template_kwargs,
             "Variables for the template, as JSON: '{\"enable_thinking\":false}'")
      ->option_text("JSON");
}

TemplateOptions PromptFlags::options() const {
  require_utf8(system, "--system");
  if (!template_kwargs.empty() && !nlohmann::json::parse(template_kwargs, nullptr, false).is_object()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--template_kwargs is \"{}\": a JSON object is needed, such as "
                            "'{{\"enable_thinking\":false}}'",
                            template_kwargs));
  }
  if (chat_template.empty()) {
    if (!reads_jinja()) {
      spdlog::warn(
          "this build reads no Jinja: the model's chat template is taken for one of those that llama.cpp "
          "knows");
    }
    return {.source = {}, .values = template_kwargs};
  }
  const std::vector<std::string> known = known_chat_templates();
  if (std::find(known.begin(), known.end(), chat_template) != known.end())
    return {.source = chat_template, .values = template_kwargs};
  if (!std::filesystem::is_regular_file(chat_template)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("--chat_template is \"{}\": a file or one of these names is needed: {}",
                            chat_template, fmt::join(known, ", ")));
  }
  return {.source = read_text(chat_template), .values = template_kwargs};
}

TemplateOptions template_for_chat(const Model& model, TemplateOptions options) {
  const ModelInfo& info = model.info();
  if (!options.source.empty() || info.has_chat_template) return options;
  options.source = info.architecture.starts_with("gemma") ? "gemma" : "chatml";
  spdlog::warn(
      "{} brings no chat template, as a model that was not trained to chat: messages are written in the form "
      "{} (--chat_template names another)",
      info.name, options.source);
  return options;
}

std::vector<ChatMessage> PromptFlags::messages(const std::string& message) const {
  std::vector<ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", system});
  messages.push_back({"user", message});
  return messages;
}

void add_keep_reasoning(CLI::App& app, std::string& keep_reasoning) {
  add_option(
      app, "keep_reasoning", keep_reasoning,
      "Thoughts (<think>) of earlier answers: on (they stay in the cache) or off (as the model's template "
      "has it, which mostly leaves them out)")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
}

void add_special_option(CLI::App& app, std::string& special) {
  add_option(app, "special", special,
             "Control tokens in the prompt, such as <|im_start|>: off (they are text) or on (a prompt in the "
             "model's "
             "own chat format)")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
}

std::string joined_prompt(const std::string& file, const std::string& prompt) {
  std::string text = file.empty() ? "" : read_text(file);
  if (!prompt.empty()) {
    require_utf8(prompt, "--prompt");
    text += (text.empty() ? "" : "\n\n") + prompt;
  }
  if (text.empty())
    throw Error(ErrorCode::kInvalidArgument, "there is no prompt: give --prompt TEXT, --file FILE, or both");
  return text;
}

}  // namespace kvevict::cli
