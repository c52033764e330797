#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "kvevict/prompt_template.h"

namespace kvevict::cli {

/// How messages are written for the model.
struct PromptFlags {
  std::string system;
  std::string chat_template;    ///< A name that llama.cpp knows, or a file; empty: the model's own.
  std::string template_kwargs;  ///< A JSON object.

  void add_to(CLI::App& app);

  /// Errors: kInvalidArgument, kNotFound, kBadData for a system prompt that is not UTF-8.
  [[nodiscard]] TemplateOptions options() const;

  /// The system prompt, if there is one, and a user's message.
  [[nodiscard]] std::vector<ChatMessage> messages(const std::string& message) const;
};

/// `options` for a chat with `model`. If neither has a template, as a base model has none: that of the
/// model's family, or ChatML, said once on stderr.
[[nodiscard]] TemplateOptions template_for_chat(const Model& model, TemplateOptions options);

/// Whether earlier answers keep their thoughts: "on" or "off".
void add_keep_reasoning(CLI::App& app, std::string& keep_reasoning);

/// Whether control tokens in a prompt without a template are read: "on" or "off".
void add_special_option(CLI::App& app, std::string& special);

/// The file's text, then the prompt's. Errors: of read_text; kInvalidArgument if both are empty; kBadData for
/// a prompt that is not UTF-8.
[[nodiscard]] std::string joined_prompt(const std::string& file, const std::string& prompt);

}  // namespace kvevict::cli
