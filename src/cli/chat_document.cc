// kvevict chat --document: a document is evicted once and stays, and the chat about it goes on behind it.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/atomic_file.h"
#include "cli/chat_flags.h"
#include "cli/document_flags.h"
#include "cli/model_run.h"
#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "kvevict/session_file.h"

namespace kvevict::cli {
namespace {

constexpr std::int64_t kTurnTokens = 1024;  // what is said stays beside a document

void require_sound(const ChatFlags& flags, bool is_saved) {
  require_no_memory_limit(flags.engine.kv_memory);
  if (!flags.load.empty())
    throw Error(ErrorCode::kInvalidArgument,
                "--document and --load are both given: a saved chat has its document with it");
  if (!flags.save.empty()) require_writable(flags.save);
  if (!is_saved) return;
  if (flags.engine.dry_run)
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--dry_run cannot be given with the saved document {}: it takes what its file has, "
                    "and no more",
                    flags.document));
  require_saved_strategy(flags.document, flags.strategy);
}

/// The window of turns; no shorter than the windows of the model's layers, which would lose what they see.
std::int64_t turn_tokens(const ChatFlags& flags, const Model& model) {
  const std::int64_t n_trained = context_limit(model);
  const std::int64_t n =
      flags.turn_tokens.value_or(n_trained > 0 ? std::min(kTurnTokens, n_trained / 4) : kTurnTokens);
  const std::int64_t n_window = model.info().n_window;
  if (n < 1 || n >= n_window) return n;
  spdlog::warn("--turn_tokens is raised from {} to {}: layers of {} have a window of so many", n, n_window,
               model.info().name);
  return n_window;
}

/// The document of a text file; nothing after a dry run, which is printed.
std::optional<Document> new_document(const ChatFlags& flags, std::vector<StrategySpec> specs,
                                     const std::shared_ptr<const Model>& model,
                                     const TemplateOptions& prompt_template,
                                     const std::atomic<bool>* cancel) {
  const std::string text = read_text(flags.document);
  if (text.empty())
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--document {} is empty: a text is needed", flags.document));
  const auto n_tokens = static_cast<std::int64_t>(model->tokenize(text, true, false).size());
  const RunSize size{.n_prompt = n_tokens, .n_new = 0, .n_after_eviction = 0};
  note_positions(flags.engine, *model);
  ModelRun run = make_run(flags.engine,
                          document_strategy(model, std::move(specs), flags.strategy, !flags.engine.dry_run),
                          model, size);
  if (flags.engine.dry_run) {
    fmt::print("{}{}", dry_run_text(run, size), dry_run_of_questions(run));
    return std::nullopt;
  }
  run.options.cancel = cancel;
  std::optional<Document> document(std::in_place, model, run.policy, text,
                                   DocumentOptions{.is_chat = true,
                                                   .system = flags.messages.system,
                                                   .prompt_template = prompt_template,
                                                   .n_room = 0,
                                                   .session = run.options});
  spdlog::info("{}: {} of {} tokens are kept by {}", flags.document, document->report().n_kept,
               document->report().n_tokens, to_string(run.policy->spec()));
  return document;
}

Document saved_document(const ChatFlags& flags, const std::shared_ptr<const Model>& model,
                        const std::atomic<bool>* cancel) {
  SessionOptions options = flags.engine.session_options();
  options.cancel = cancel;
  Document document = Document::load(model, flags.document, options);
  if (document.is_chat()) return document;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} is a text and no message of a chat: save the document anew with --chat",
                          flags.document));
}

}  // namespace

void run_document_chat(ChatFlags flags) {
  flags.strategy.has_auto_sink = false;  // the sink is one of the document
  const bool is_saved = is_session_file(flags.document);
  require_sound(flags, is_saved);
  TemplateOptions prompt_template = flags.messages.options();
  std::vector<StrategySpec> specs;
  if (!is_saved) specs = flags.strategy.specs(std::string(kDocumentStrategy));
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  prompt_template = template_for_chat(*model, std::move(prompt_template));
  ConversationOptions options = conversation_options(flags, *model, prompt_template);
  InterruptGuard interrupt(InterruptMode::kKeepsOn);
  std::optional<Document> document =
      is_saved ? std::optional(saved_document(flags, model, interrupt.flag()))
               : new_document(flags, std::move(specs), model, prompt_template, interrupt.flag());
  if (!document) return;
  Conversation conversation(*document, turn_tokens(flags, *model), std::move(options));
  document.reset();  // the conversation has cells of its own
  talk(conversation, interrupt, flags.save);
}

}  // namespace kvevict::cli
