// kvevict generate with --then, --save or --load: a document is evicted once, and asked afterwards.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>

#include "base/atomic_file.h"
#include "base/process_info.h"
#include "base/units.h"
#include "cli/generate_flags.h"
#include "cli/interrupt.h"
#include "cli/model_run.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

// Tokens that a question and its answer find room for at once; longer ones enlarge the context.
constexpr std::int64_t kQuestionRoom = 256;
constexpr std::int64_t kAnswerRoom = 1024;

void refuse_beside_load(bool is_given, const char* flags, const char* why) {
  if (!is_given) return;
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{} cannot be given with --load: {}", flags, why));
}

void require_sound_load(const GenerateFlags& flags, bool has_questions) {
  const PromptFlags& messages = flags.messages;
  refuse_beside_load(!(flags.prompt + flags.file).empty(), "--prompt and --file",
                     "the saved document is the text; ask about it with --then");
  refuse_beside_load(!flags.document.save.empty(), "--save", "the document is saved already");
  refuse_beside_load(flags.max_length.has_value(), "--max_length",
                     "the saved document is in the cache as it is");
  refuse_beside_load(flags.special == "on", "--special on", "the document was saved with it or without it");
  refuse_beside_load(!(messages.system + messages.chat_template + messages.template_kwargs).empty(),
                     "--system, --chat_template and --template_kwargs",
                     "the document was saved with its system prompt and template");
  refuse_beside_load(flags.engine.dry_run, "--dry_run",
                     "a saved document takes what its file has, and no more");
  if (!has_questions)
    throw Error(ErrorCode::kInvalidArgument, "--load needs a question: give --then TEXT or --then_file FILE");
  require_saved_strategy(flags.document.load, flags.strategy);
}

Document loaded_document(const GenerateFlags& flags, const std::shared_ptr<const Model>& model,
                         const std::atomic<bool>* cancel) {
  SessionOptions options = flags.engine.session_options();
  options.cancel = cancel;
  Document document = Document::load(model, flags.document.load, options);
  if (flags.chat && !document.is_chat()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} is a text and no message of a chat: leave --chat out, or save the document "
                            "anew with --chat",
                            flags.document.load));
  }
  return document;
}

void print_document(const Document& document) {
  const DocumentReport& report = document.report();
  const std::string how =
      report.seconds_load > 0
          ? fmt::format("loaded in {:.3f} s", report.seconds_load)
          : fmt::format("prefill {:.2f} s ({:.1f} tokens/s), eviction {:.3f} s", report.seconds_prefill,
                        per_second(report.n_tokens, report.seconds_prefill), report.seconds_eviction);
  fmt::print(stderr,
             "document          {} tokens, {} kept by {}; positions {}\n"
             "                  {}\n"
             "K and V           {:.1f} MiB in {} cells, {:.1f} MiB at the peak\n"
             "resident memory   {:.1f} MiB at the peak\n",
             report.n_tokens, report.n_kept, to_string(document.session().policy().spec()),
             to_string(*document.session().options().positions), how, to_mib(report.stats.kv_bytes),
             report.stats.n_cells, to_mib(report.stats.kv_bytes_peak), to_mib(peak_resident_bytes()));
}

void print_question(const std::string& question, bool is_behind_another) {
  std::string marked = "> " + question;
  for (std::size_t at = marked.find('\n'); at != std::string::npos; at = marked.find('\n', at + 1))
    marked.insert(at + 1, "> ");
  fmt::print("{}{}\n", is_behind_another ? "\n" : "", marked);
}

void print_times(std::size_t number, const DocumentAnswer& answer) {
  const auto n_new = static_cast<std::int64_t>(answer.generation.tokens.size());
  const double seconds_decode = answer.seconds - answer.seconds_to_first;
  fmt::print(stderr,
             "question {}        {} tokens, first token after {:.3f} s; {} answer tokens in {:.2f} s ({:.1f} "
             "tokens/s)\n",
             number, answer.n_question, answer.seconds_to_first, n_new, answer.seconds,
             per_second(n_new - 1, seconds_decode));
}

/// Each answer streams under its question, which is printed once the question was let in.
void ask(Document& document, const std::vector<std::string>& questions, const GenerateFlags& flags,
         const std::string& grammar) {
  for (std::size_t i = 0; i < questions.size(); ++i) {
    bool is_printed = false;
    const auto print = [&](std::string_view text) {
      if (!is_printed) print_question(questions[i], i > 0);
      is_printed = true;
      fmt::print("{}", text);
      std::fflush(stdout);
    };
    const DocumentAnswer answer =
        document.ask(questions[i], {.max_new_tokens = flags.generation.max_new_tokens,
                                    .sampling = flags.generation.sampling,
                                    .grammar = grammar,
                                    .stop = flags.generation.stop,
                                    .on_token =
                                        [&](Token, std::string_view text) {
                                          print(text);
                                          return true;
                                        },
                                    .on_rest = print});
    print("\n");
    if (flags.verbose) print_times(i + 1, answer);
  }
}

/// Reads and evicts the document, saves it if that is asked for, and asks.
void run_new_document(const GenerateFlags& flags, const std::vector<std::string>& questions) {
  if (!flags.document.save.empty()) require_writable(flags.document.save);
  const TemplateOptions prompt_template = flags.chat ? flags.messages.options() : TemplateOptions{};
  std::vector<StrategySpec> specs = flags.strategy.specs(std::string(kDocumentStrategy));
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  const StrategySpec spec = document_strategy(model, std::move(specs), flags.strategy, !flags.engine.dry_run);
  const std::string grammar = flags.generation.grammar(*model);
  const std::string text = prompt_text(flags, *model);
  note_positions(flags.engine, *model);
  const auto n_tokens = static_cast<std::int64_t>(model->tokenize(text, true, false).size());
  const RunSize size{.n_prompt = n_tokens, .n_new = 0, .n_after_eviction = 0};
  ModelRun run = make_run(flags.engine, spec, model, size);
  require_savable(run, flags.document.save);
  if (flags.engine.dry_run) {
    fmt::print("{}{}", dry_run_text(run, size), dry_run_of_questions(run));
    return;
  }
  const InterruptGuard interrupt;
  run.options.cancel = interrupt.flag();
  Document document(
      model, run.policy, text,
      {.is_chat = flags.chat,
       .system = flags.messages.system,
       .prompt_template = prompt_template,
       .parse_special = flags.special == "on",
       .n_room = kQuestionRoom + std::min<std::int64_t>(flags.generation.max_new_tokens, kAnswerRoom),
       .session = run.options});
  if (!flags.document.save.empty()) {
    document.save(flags.document.save);
    spdlog::info("saved to {}: {} of {} tokens are kept", flags.document.save, document.report().n_kept,
                 document.report().n_tokens);
  }
  if (flags.verbose) print_document(document);
  ask(document, questions, flags, grammar);
}

}  // namespace

void run_document(const GenerateFlags& flags) {
  if (flags.file == "-" && flags.document.then_file == "-")
    throw Error(ErrorCode::kInvalidArgument,
                "--file and --then_file are both standard input: give one of them as a file");
  const std::vector<std::string> questions = flags.document.questions();
  require_no_memory_limit(flags.engine.kv_memory);
  if (flags.document.load.empty()) {
    run_new_document(flags, questions);
    return;
  }
  require_sound_load(flags, !questions.empty());
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  const std::string grammar = flags.generation.grammar(*model);
  const InterruptGuard interrupt;
  Document document = loaded_document(flags, model, interrupt.flag());
  if (flags.verbose) print_document(document);
  ask(document, questions, flags, grammar);
}

}  // namespace kvevict::cli
