// kvevict chat: a conversation of any length in a cache of fixed size.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <memory>

#include "base/process_info.h"
#include "cli/chat_flags.h"
#include "cli/chat_input.h"
#include "cli/chat_strategy.h"
#include "cli/flags.h"
#include "cli/model_run.h"
#include "cli/subcommands.h"
#include "cli/template_advice.h"
#include "kvevict/conversation.h"
#include "kvevict/error.h"
#include "text/utf8.h"

namespace kvevict::cli {
namespace {

constexpr const char* kHelp =
    "A line is a message. A \\ at its end takes in the next line; so does \"\"\" before the first\n"
    "and behind the last of several lines. // begins a message with /.\n"
    "/stats        what the cache holds and costs\n"
    "/keep         the conversation, evicted parts dimmed\n"
    "/save FILE    write the conversation to a file\n"
    "/load FILE    go on with a saved conversation\n"
    "/reset        begin anew, with the document if there is one\n"
    "/quit         leave (Ctrl-D too); Ctrl-C stops an answer\n";

std::string stats_text(const Conversation& chat) {
  const SessionStats stats = chat.stats();
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  return fmt::format(
      "strategy         {}\nturns            {}\ntokens seen      {}\ntokens held      {} (most {})\ncells   "
      "         {}\n"
      "K and V          {:.1f} MiB\nresident memory  {:.1f} MiB\ndecoded tokens   {}\nevictions        {} "
      "({} packs)\n",
      to_string(chat.session().policy().spec()), chat.n_turns(), stats.n_tokens_seen, stats.n_tokens_held,
      stats.n_tokens_held_peak, stats.n_cells, mib(stats.kv_bytes), mib(resident_bytes()),
      stats.n_decoded_tokens, stats.n_evictions, stats.n_packs);
}

/// The terminal's side of a conversation.
class Chat {
 public:
  Chat(Conversation& conversation, InterruptGuard& interrupt, std::string save_file)
      : conversation_(conversation),
        interrupt_(interrupt),
        lines_(interrupt),
        input_(lines_),
        save_file_(std::move(save_file)) {}

  void run() {
    if (lines_.is_terminal()) fmt::print("/help lists the commands.\n");
    while (const auto input = input_.read()) {
      if (input->is_command && input->text == "/quit") break;
      try {
        if (input->is_command) {
          obey(input->text);
        } else {
          answer(input->text);
        }
      } catch (const std::exception& error) {  // whatever it is, the conversation is not lost for it
        interrupt_.clear();
        std::fflush(stdout);
        fmt::print(stderr, "kvevict: {}\n", error.what());
      }
      std::fflush(stdout);
    }
  }

 private:
  void answer(const std::string& message) {
    interrupt_.clear();
    const AnswerEnd end = conversation_.answer(message, [](std::string_view text) {
      fmt::print("{}", text);
      std::fflush(stdout);
    });
    fmt::print("{}\n", end == AnswerEnd::kStopped ? " [stopped]" : "");
    interrupt_.clear();
    if (!save_file_.empty()) conversation_.save(save_file_);
  }

  void obey(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string command = line.substr(0, space);
    const std::size_t begin = line.find_first_not_of(' ', space);
    const std::string argument =
        begin == std::string::npos || space == std::string::npos ? "" : line.substr(begin);
    if (command == "/help") {
      fmt::print("{}", kHelp);
    } else if (command == "/stats") {
      fmt::print("{}", stats_text(conversation_));
    } else if (command == "/keep") {
      fmt::print("{}\n", conversation_.kept_text(lines_.is_terminal()));
    } else if (command == "/reset") {
      conversation_.reset();
    } else if (command == "/save" || command == "/load") {
      save_or_load(command, argument);
    } else {
      throw Error(ErrorCode::kInvalidArgument, command + " is no command (see /help)");
    }
  }

  void save_or_load(const std::string& command, const std::string& file) {
    if (file.empty()) throw Error(ErrorCode::kInvalidArgument, command + " needs the name of a file");
    if (file.find('\0') != std::string::npos)  // the system would take what comes before it for the name
      throw Error(ErrorCode::kInvalidArgument, command + ": the name of a file has no NUL character");
    if (command == "/save") {
      conversation_.save(file);
      fmt::print("saved to {}\n", file);
    } else {
      conversation_.load(file);
      fmt::print("loaded {}: {} turns, {} tokens\n", file, conversation_.n_turns(),
                 conversation_.session().stats().n_tokens_seen);
    }
  }

  Conversation& conversation_;
  InterruptGuard& interrupt_;
  LineReader lines_;
  ChatInputReader input_;
  std::string save_file_;
};

void run_chat(const ChatFlags& flags) {
  flags.generation.validate();
  if (!flags.document.empty()) {
    run_document_chat(flags);
    return;
  }
  if (flags.turn_tokens)
    throw Error(ErrorCode::kInvalidArgument,
                "--turn_tokens needs --document: without one, the strategy says what stays of a chat");
  TemplateOptions prompt_template = flags.messages.options();
  std::vector<StrategySpec> specs = flags.strategy.specs("sink_recent");
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  prompt_template = template_for_chat(*model, std::move(prompt_template));
  StrategySpec spec =
      chat_strategy(flags.strategy, std::move(specs), *model, flags.messages.system, prompt_template);
  ConversationOptions options = conversation_options(flags, *model, std::move(prompt_template));
  note_positions(flags.engine, *model);
  ModelRun run = make_run(flags.engine, std::move(spec), model);
  require_savable(run, flags.save);
  if (flags.engine.dry_run) {
    fmt::print("{}", dry_run_text(run));
    return;
  }
  InterruptGuard interrupt(InterruptMode::kKeepsOn);
  run.options.cancel = interrupt.flag();
  options.session = run.options;
  Conversation conversation(run.model, run.policy, std::move(options));
  if (!flags.load.empty()) conversation.load(flags.load);
  talk(conversation, interrupt, flags.save);
}

}  // namespace

ConversationOptions conversation_options(const ChatFlags& flags, const Model& model,
                                         TemplateOptions prompt_template) {
  return {.system = flags.messages.system,
          .prompt_template = std::move(prompt_template),
          .max_new_tokens = flags.generation.max_new_tokens,
          .sampling = flags.generation.sampling,
          .grammar = flags.generation.grammar(model),
          .stop = flags.generation.stop,
          .keep_reasoning = flags.keep_reasoning == "on"};
}

void talk(Conversation& conversation, InterruptGuard& interrupt, const std::string& save_file) {
  Chat(conversation, interrupt, save_file).run();
}

void add_chat(CLI::App& app) {
  auto flags = std::make_shared<ChatFlags>();
  flags->engine.prefill = "bounded";
  flags->strategy.has_auto_sink = true;
  flags->generation.max_new_tokens = 512;
  CLI::App* command =
      app.add_subcommand("chat", "Talk with the model; the history may be longer than any window");
  flags->messages.add_to(*command);
  add_keep_reasoning(*command, flags->keep_reasoning);
  add_option(*command, "load", flags->load,
             "Go on with a saved conversation: its system prompt, strategy, positions and sampler")
      ->option_text("FILE");
  add_option(*command, "save", flags->save, "Save the conversation here after every answer")
      ->option_text("FILE");
  const std::string group = "Documents";
  add_option(
      *command, "document", flags->document,
      "Talk about this text, or about a document that generate --chat --save wrote: it is evicted once "
      "by the strategy and then stays as it is")
      ->option_text("FILE")
      ->group(group);
  add_count(*command, "turn_tokens", flags->turn_tokens,
            "Newest tokens of the chat that stay behind a document, on top of its budget (1024; at most a "
            "quarter of the trained context)")
      ->group(group);
  flags->generation.add_to(*command);
  flags->strategy.add_to(*command, false, true);
  flags->engine.add_to(*command);
  command->callback([flags] {
    with_template_advice("use another model, or kvevict generate, which goes on from a text without one",
                         [&] { run_chat(*flags); });
  });
}

}  // namespace kvevict::cli
