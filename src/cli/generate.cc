// kvevict generate: one prompt, one answer, streamed as it is made.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>

#include "base/process_info.h"
#include "base/stopwatch.h"
#include "cli/flags.h"
#include "cli/generate_flags.h"
#include "cli/interrupt.h"
#include "cli/model_run.h"
#include "cli/subcommands.h"
#include "cli/template_advice.h"
#include "kvevict/error.h"
#include "runtime/prompt_prefill.h"

namespace kvevict::cli {
namespace {

/// A system prompt or a template without --chat would be passed over in silence.
void require_chat_for_messages(const GenerateFlags& flags) {
  const PromptFlags& messages = flags.messages;
  if (flags.chat || (messages.system + messages.chat_template + messages.template_kwargs).empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              "--system, --chat_template and --template_kwargs need --chat: without it there is no message");
}

/// The prompt as tokens, in the chat template if --chat asks for it.
std::vector<Token> prompt_tokens(const GenerateFlags& flags, const Model& model) {
  std::vector<Token> tokens;
  const std::string text = prompt_text(flags, model, &tokens);
  if (!flags.chat) return tokens;
  const PromptTemplate prompt_template(model, flags.messages.options());
  return prompt_template.tokens(prompt_template.render(flags.messages.messages(text)));
}

void print_stats(const Session& session, const PrefillReport& prefill, std::int64_t n_prompt,
                 std::int64_t n_new, double seconds_decode) {
  const SessionStats stats = session.stats();
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  fmt::print(stderr,
             "prompt tokens     {} ({} kept when the answer began)\n"
             "answer tokens     {}\n"
             "cache             {} tokens in {} cells, most {} tokens; positions {}\n"
             "K and V           {:.1f} MiB now, {:.1f} MiB at the peak{}\n"
             "resident memory   {:.1f} MiB at the peak\n"
             "evictions         {} ({} packs)\n"
             "prefill           {:.2f} s ({:.1f} tokens/s), eviction {:.3f} s\n"
             "decode            {:.2f} s ({:.1f} tokens/s)\n"
             "threads           {} for a token, {} for a batch at the end\n",
             n_prompt, prefill.kept.count(), n_new, stats.n_tokens_held, stats.n_cells,
             stats.n_tokens_held_peak, to_string(*session.options().positions), mib(stats.kv_bytes),
             mib(stats.kv_bytes_peak),
             stats.state_bytes > 0 ? fmt::format(", and a state of {:.1f} MiB", mib(stats.state_bytes)) : "",
             mib(peak_resident_bytes()), stats.n_evictions, stats.n_packs, prefill.seconds_prefill,
             per_second(n_prompt, prefill.seconds_prefill), prefill.seconds_eviction, seconds_decode,
             per_second(n_new, seconds_decode), stats.n_threads, stats.n_threads_batch);
}

void require_sound(const GenerateFlags& flags) {
  flags.generation.validate();
  require_chat_for_messages(flags);
  if (flags.max_length && *flags.max_length < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--max_length is {}: 1 or more is needed", *flags.max_length));
  }
  if (flags.chat && flags.special == "on") {
    throw Error(
        ErrorCode::kInvalidArgument,
        "--special on is for a prompt in the model's own format: a user's message (--chat) is never read "
        "for control tokens");
  }
}

void run_generate(const GenerateFlags& flags) {
  require_sound(flags);
  if (flags.document.are_given()) {
    run_document(flags);
    return;
  }
  std::vector<StrategySpec> specs = flags.strategy.specs("sink_recent");
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  const StrategySpec spec = specs_for(*model, std::move(specs), flags.strategy).front();
  const std::string grammar = flags.generation.grammar(*model);
  const std::vector<Token> prompt = prompt_tokens(flags, *model);
  const auto n_prompt = static_cast<std::int64_t>(prompt.size());
  const RunSize size{.n_prompt = n_prompt, .n_new = flags.generation.max_new_tokens};
  note_positions(flags.engine, *model);
  ModelRun run = make_run(flags.engine, spec, model, size);
  if (flags.engine.dry_run) {
    fmt::print("{}", dry_run_text(run, size));
    return;
  }
  const InterruptGuard interrupt;
  run.options.cancel = interrupt.flag();
  Session session(run.model, run.policy, run.options);
  const PrefillReport prefill =
      prefill_prompt(session, prompt, {.n_new_tokens = size.n_new, .is_last = true});
  const Stopwatch decoding;
  const Generation answer =
      session.generate({.max_new_tokens = flags.generation.max_new_tokens,
                        .sampling = flags.generation.sampling,
                        .grammar = grammar,
                        .stop = flags.generation.stop,
                        .recent = prompt,
                        .on_token =
                            [](Token, std::string_view text) {
                              fmt::print("{}", text);
                              std::fflush(stdout);
                              return true;
                            },
                        .on_rest = [](std::string_view text) { fmt::print("{}", text); }});
  const double seconds = decoding.seconds();
  fmt::print("\n");
  if (flags.verbose)
    print_stats(session, prefill, n_prompt, static_cast<std::int64_t>(answer.tokens.size()), seconds);
}

}  // namespace

double per_second(std::int64_t n, double seconds) {
  return seconds > 0 ? static_cast<double>(n) / seconds : 0;
}

std::string prompt_text(const GenerateFlags& flags, const Model& model, std::vector<Token>* tokens) {
  std::string text = joined_prompt(flags.file, flags.prompt);
  std::vector<Token> all = model.tokenize(text, !flags.chat, flags.special == "on");
  const auto n_most =
      static_cast<std::size_t>(flags.max_length.value_or(static_cast<std::int64_t>(all.size())));
  if (all.size() > n_most) {
    spdlog::warn("the prompt of {} tokens is cut to {} in the middle (--max_length)", all.size(), n_most);
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(n_most - n_most / 2),
              all.end() - static_cast<std::ptrdiff_t>(n_most / 2));
    text = model.detokenize(all, flags.special == "on");
  }
  if (tokens != nullptr) *tokens = std::move(all);
  return text;
}

void add_generate(CLI::App& app) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command =
      app.add_subcommand("generate", "Go on from a prompt, or ask a document, under a KV budget");
  add_option(*command, "prompt", flags->prompt, "The prompt; with --file, what comes behind the file's text")
      ->option_text("TEXT");
  command->add_option("-f,--file", flags->file, "A file with the prompt (-: standard input)")
      ->option_text("FILE");
  add_flag(*command, "chat", flags->chat,
           "Put the prompt into the model's chat template, as a user's message");
  add_special_option(*command, flags->special);
  add_count(*command, "max_length", flags->max_length,
            "Longest prompt in tokens; longer ones are cut in the middle (no cut)");
  flags->messages.add_to(*command);
  flags->document.add_to(*command);
  flags->generation.add_to(*command);
  flags->strategy.add_to(*command, false);
  add_flag(*command, "verbose", flags->verbose, "Print memory, evictions and times on stderr at the end");
  flags->engine.add_to(*command);
  command->callback([flags] { with_template_advice("leave --chat out", [&] { run_generate(*flags); }); });
}

}  // namespace kvevict::cli
