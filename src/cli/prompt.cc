// kvevict prompt: what a model really gets for a prompt or for messages.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/prompt_flags.h"
#include "cli/subcommands.h"
#include "hub/locations.h"
#include "kvevict/error.h"
#include "text/json_reader.h"

namespace kvevict::cli {
namespace {

struct PromptCommandFlags {
  PromptFlags prompt;
  std::string model = "default";
  std::string messages, text, file;
  std::string special = "off";
  bool raw = false;
  bool json = false;
};

/// [{"role", "content"}, …], or an object with such "messages".
std::vector<ChatMessage> read_messages(const std::string& file) {
  const nlohmann::ordered_json json = read_json_file(file, "file of messages");
  const JsonReader all(json.is_object() && json.contains("messages") ? json.at("messages") : json, file);
  std::vector<ChatMessage> messages;
  all.for_each_item([&](const JsonReader& one) {
    messages.push_back({one.member("role").text(), one.member("content").text()});
  });
  if (messages.empty()) throw Error(ErrorCode::kBadData, file + " has no messages");
  return messages;
}

std::vector<ChatMessage> messages_of(const PromptCommandFlags& flags) {
  if (flags.messages.empty()) return flags.prompt.messages(joined_prompt(flags.file, flags.text));
  if (!flags.text.empty() || !flags.file.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "give --messages FILE, or a prompt, not both");
  }
  std::vector<ChatMessage> messages = read_messages(flags.messages);
  if (!flags.prompt.system.empty()) messages.insert(messages.begin(), {"system", flags.prompt.system});
  return messages;
}

/// A line for each token: id, text with escaped line ends, and a mark for control tokens.
std::string token_lines(const Model& model, const std::vector<Token>& tokens) {
  std::string lines;
  for (const Token token : tokens) {
    const std::string piece = model.detokenize({&token, 1}, true);
    const bool is_control = !piece.empty() && model.detokenize({&token, 1}).empty();
    lines +=
        fmt::format("{:>8}  {}{}\n", token, is_control ? "* " : "  ",
                    nlohmann::json(piece).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return lines;
}

void run_prompt(const PromptCommandFlags& flags) {
  const std::shared_ptr<const Model> model = Model::load({.path = find_model(flags.model), .weights = false});
  std::string text;
  std::vector<Token> tokens;
  if (flags.raw) {
    text = joined_prompt(flags.file, flags.text);
    tokens = model->tokenize(text, true, flags.special == "on");
  } else {
    const PromptTemplate prompt_template(*model, flags.prompt.options());
    const std::vector<TextPart> parts = prompt_template.render(messages_of(flags));
    text = text_of(parts);
    tokens = prompt_template.tokens(parts);
  }
  if (flags.json) {
    const nlohmann::ordered_json json = {{"text", text}, {"tokens", tokens}, {"count", tokens.size()}};
    fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{}\n\n{}\n{} tokens; * marks control tokens\n", text, token_lines(*model, tokens),
             tokens.size());
}

}  // namespace

void add_prompt(CLI::App& app) {
  auto flags = std::make_shared<PromptCommandFlags>();
  CLI::App* command = app.add_subcommand("prompt", "Show what the model gets for a prompt: text and tokens");
  add_option(*command, "model", flags->model,
             "The model: default, a GGUF file, or owner/repository of the hub")
      ->option_text("MODEL");
  add_option(*command, "messages", flags->messages, "A JSON file: [{\"role\", \"content\"}, ...]")
      ->option_text("FILE");
  add_option(*command, "prompt", flags->text,
             "A user's message; with --file, what comes behind the file's text")
      ->option_text("TEXT");
  command->add_option("-f,--file", flags->file, "A file with a user's message (-: standard input)")
      ->option_text("FILE");
  add_flag(*command, "raw", flags->raw, "Without the chat template, as generate without --chat");
  add_special_option(*command, flags->special);
  flags->prompt.add_to(*command);
  add_flag(*command, "json", flags->json, "Print {\"text\", \"tokens\", \"count\"}");
  command->callback([flags] { run_prompt(*flags); });
}

}  // namespace kvevict::cli
