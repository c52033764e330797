// kvevict stream: any amount of text through a cache of fixed size.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <istream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/process_info.h"
#include "base/stopwatch.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/model_run.h"
#include "cli/standard_input.h"
#include "cli/subcommands.h"
#include "experiments/running_perplexity.h"
#include "kvevict/error.h"
#include "kvevict/token_stream.h"
#include "runtime/stream_checkpoint.h"

namespace kvevict::cli {
namespace {

struct StreamFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  std::string file;
  std::int64_t report_every = 1000;
  std::int64_t window = 1024;
  std::optional<std::int64_t> total_tokens;
  std::string checkpoint;
  std::int64_t checkpoint_every = 20000;
  bool json = false;
};

void require_at_least_one(const char* flag, std::int64_t value) {
  if (value < 1)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--{} is {}: 1 or more is needed", flag, value));
}

/// What one line reports; counts since the beginning, rates since the last report.
class Reports {
 public:
  explicit Reports(bool as_json, std::int64_t n_tokens_before)
      : as_json_(as_json), n_reported_(n_tokens_before) {}

  void print(const Session& session, const eval::RunningPerplexity& perplexity) {
    const SessionStats stats = session.stats();
    const double seconds = since_last_.seconds();
    const double rate = seconds > 0 ? static_cast<double>(stats.n_tokens_seen - n_reported_) / seconds : 0;
    n_reported_ = stats.n_tokens_seen;
    since_last_.restart();
    if (as_json_) {
      print_json(session, stats, rate, perplexity);
    } else {
      fmt::print(
          "{:>9} tokens  {:>6} cells used  {:>8.1f} MiB resident  {:>8.1f} tokens/s  perplexity {:.3f}\n",
          stats.n_tokens_seen, session.count_occupied_cells(),
          static_cast<double>(resident_bytes()) / (1 << 20), rate, perplexity.of_window());
    }
    std::fflush(stdout);
  }

  [[nodiscard]] std::int64_t n_reported() const { return n_reported_; }

 private:
  void print_json(const Session& session, const SessionStats& stats, double rate,
                  const eval::RunningPerplexity& perplexity) const {
    nlohmann::ordered_json line = {{"tokens_seen", stats.n_tokens_seen},
                                   {"cells_used", session.count_occupied_cells()},
                                   {"resident_bytes", resident_bytes()},
                                   {"tokens_per_second", rate},
                                   {"perplexity", nullptr},
                                   {"cells_allocated", stats.n_cells},
                                   {"tokens_held_peak", stats.n_tokens_held_peak},
                                   {"kv_bytes", stats.kv_bytes},
                                   {"evictions", stats.n_evictions},
                                   {"packs", stats.n_packs},
                                   {"cpu_seconds", cpu_seconds()}};
    if (perplexity.n_tokens() > 0) line["perplexity"] = perplexity.of_window();
    fmt::print("{}\n", line.dump());
  }

  bool as_json_;
  std::int64_t n_reported_;
  Stopwatch since_last_;
};

/// The next tokens; none at the end of the text and after Ctrl-C, which may have cut a character or a word.
std::vector<Token> take_chunk(TokenStream& tokens, std::int64_t n, const InterruptGuard& interrupt) {
  try {
    std::vector<Token> chunk = tokens.take(static_cast<std::size_t>(n));
    if (!*interrupt.flag()) return chunk;
  } catch (const Error&) {
    if (!*interrupt.flag()) throw;
  }
  return {};
}

/// Passes over the tokens that an earlier run has streamed.
void skip(TokenStream& tokens, std::int64_t n_tokens, const std::string& file,
          const InterruptGuard& interrupt) {
  constexpr std::int64_t kPiece = 4096;
  while (n_tokens > 0) {
    const std::size_t n = take_chunk(tokens, std::min(kPiece, n_tokens), interrupt).size();
    if (n == 0 && *interrupt.flag())
      throw Error(ErrorCode::kCancelled, "the stream was stopped before it went on");
    if (n == 0)
      throw Error(ErrorCode::kBadData, file + " ends before the place where its checkpoint was taken");
    n_tokens -= static_cast<std::int64_t>(n);
  }
}

/// Feeds the text chunk by chunk. A report comes at the end of the chunk that reaches its token, so that how
/// often is reported never changes what is computed.
void feed(const StreamFlags& flags, const ModelRun& run, TokenStream& tokens, Session& session,
          StreamCheckpoint& checkpoint, const InterruptGuard& interrupt) {
  // The flag is looked at between chunks alone, so that a run that goes on later cuts the same chunks.
  eval::RunningPerplexity perplexity(flags.window);
  std::int64_t n_seen = session.stats().n_tokens_seen;
  std::int64_t n_saved = n_seen;
  const std::int64_t n_total = flags.total_tokens.value_or(kMaxTokens);
  Reports reports(flags.json, n_seen);
  while (n_seen < n_total && !*interrupt.flag()) {
    const auto chunk =
        take_chunk(tokens, std::min<std::int64_t>(run.options.n_chunk, n_total - n_seen), interrupt);
    if (chunk.empty()) break;
    session.append(chunk, {.on_log_probability = [&](std::int64_t, double p) { perplexity.add(p); }});
    n_seen += static_cast<std::int64_t>(chunk.size());
    if (n_seen / flags.report_every > reports.n_reported() / flags.report_every)
      reports.print(session, perplexity);
    if (n_seen - n_saved >= flags.checkpoint_every) {
      checkpoint.save(session);
      n_saved = n_seen;
    }
  }
  if (n_seen > reports.n_reported()) reports.print(session, perplexity);
  if (n_seen > n_saved) checkpoint.save(session);
  if (*interrupt.flag())
    throw Error(ErrorCode::kCancelled, "the stream was stopped after " + std::to_string(n_seen) + " tokens");
}

void run_stream(StreamFlags flags) {
  require_at_least_one("report_every", flags.report_every);
  require_at_least_one("checkpoint_every", flags.checkpoint_every);
  if (flags.total_tokens) require_at_least_one("total_tokens", *flags.total_tokens);
  static_cast<void>(eval::RunningPerplexity(flags.window));
  if (!flags.engine.is_bounded()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a stream has no end that a full prefill could wait for: --prefill bounded is needed");
  }
  std::ifstream file;
  if (flags.file != "-") file = open_text(flags.file);
  std::vector<StrategySpec> specs = flags.strategy.specs("sink_recent");
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  specs = specs_for(*model, std::move(specs), flags.strategy);
  note_positions(flags.engine, *model);
  const ModelRun run = make_run(flags.engine, specs.front(), model);
  require_savable(run, flags.checkpoint);
  if (flags.engine.dry_run) {
    fmt::print("{}", dry_run_text(run));
    return;
  }
  const InterruptGuard interrupt;
  StandardInput input(interrupt.flag());
  std::istream text(flags.file == "-" ? static_cast<std::streambuf*>(&input) : file.rdbuf());
  TokenStream tokens(*run.model, text, flags.file == "-" ? "standard input" : flags.file);
  StreamCheckpoint checkpoint(flags.checkpoint, flags.file, run);
  std::optional<Session> session = checkpoint.load();
  if (session) {
    spdlog::info("going on after {} tokens, as {} says", session->stats().n_tokens_seen, flags.checkpoint);
    skip(tokens, session->stats().n_tokens_seen, flags.file, interrupt);
  } else {
    session.emplace(run.model, run.policy, run.options);
  }
  feed(flags, run, tokens, *session, checkpoint, interrupt);
}

}  // namespace

void add_stream(CLI::App& app) {
  auto flags = std::make_shared<StreamFlags>();
  flags->engine.prefill = "bounded";
  CLI::App* command = app.add_subcommand("stream", "Feed any amount of text through a cache of fixed size");
  command->add_option("file", flags->file, "The text (-: standard input)")->required()->option_text("FILE|-");
  add_count(*command, "report_every", flags->report_every,
            "Tokens between two reports; each comes at the end of a chunk")
      ->capture_default_str();
  add_count(*command, "window", flags->window, "Tokens that the running perplexity is taken over")
      ->capture_default_str();
  add_count(*command, "total_tokens", flags->total_tokens, "Stop after so many tokens (the end of the text)");
  add_option(*command, "checkpoint", flags->checkpoint,
             "Save the stream here now and then, and go on from there if the file exists")
      ->option_text("FILE");
  add_count(*command, "checkpoint_every", flags->checkpoint_every, "Tokens between two checkpoints")
      ->capture_default_str();
  flags->strategy.add_to(*command, false);
  add_flag(*command, "json", flags->json, "A line of JSON for each report");
  flags->engine.add_to(*command);
  command->callback([flags] { run_stream(*flags); });
}

}  // namespace kvevict::cli
