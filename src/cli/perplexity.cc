// kvevict perplexity: the same text through several strategies.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "base/atomic_file.h"
#include "base/cancellation.h"
#include "base/machine_info.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/longbench_report.h"
#include "cli/model_run.h"
#include "cli/subcommands.h"
#include "cli/table.h"
#include "experiments/perplexity_run.h"
#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

/// The StreamingLLM paper's cases at a budget of 1,024: everything, the window alone, four sinks, and this
/// project's own.
constexpr const char* kDefaultStrategies =
    "full,sink_recent:0:1024,streaming_llm:4:1020,sink_recent:256:768,sink_recent_uniform:256:512:256";

struct PerplexityFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  std::string file;
  std::int64_t window = 1024;
  std::optional<std::int64_t> total_tokens;
  std::optional<std::int64_t> evict_at;
  std::string output;
};

eval::RunInfo describe(const PerplexityFlags& flags, const Model& model, const Policy& policy,
                       const SessionOptions& options) {
  eval::RunInfo info = describe_run(model, policy);
  info.configuration = {{"prefill", std::string(to_string(options.prefill))},
                        {"chunk", std::to_string(options.n_chunk)},
                        {"positions", std::string(to_string(*options.positions))},
                        {"decode_slack", std::to_string(options.n_decode_slack)},
                        {"flash_attention", flags.engine.flash_attention},
                        {"kv_type_k", std::string(to_string(options.type_k))},
                        {"kv_type_v", std::string(to_string(options.type_v))},
                        {"threads", options.n_threads == 0 ? "auto" : std::to_string(options.n_threads)},
                        {"total_tokens", flags.total_tokens ? std::to_string(*flags.total_tokens) : "all"}};
  if (flags.evict_at) info.configuration["evict_at"] = std::to_string(*flags.evict_at);
  return info;
}

std::string table_of(const std::vector<eval::PerplexityRun>& runs, std::int64_t n_window) {
  Table table({"strategy", "positions", "tokens", "perplexity", fmt::format("first {}", n_window),
               fmt::format("last {}", n_window), fmt::format("worst {}", n_window), "most held", "KV MiB",
               "tokens/s"});
  for (const eval::PerplexityRun& run : runs) {
    if (run.windows.empty()) continue;
    const auto worst =
        std::max_element(run.windows.begin(), run.windows.end(),
                         [](const auto& a, const auto& b) { return a.perplexity < b.perplexity; });
    table.add({run.info.name + (run.reached_trained_context ? " *" : ""), run.positions,
               std::to_string(run.n_tokens), fmt::format("{:.3f}", run.perplexity),
               fmt::format("{:.3f}", run.windows.front().perplexity),
               fmt::format("{:.3f}", run.windows.back().perplexity), fmt::format("{:.3f}", worst->perplexity),
               std::to_string(run.n_tokens_held_peak),
               fmt::format("{:.1f}", static_cast<double>(run.kv_bytes_peak) / (1 << 20)),
               fmt::format("{:.1f}", run.seconds > 0 ? static_cast<double>(run.n_tokens) / run.seconds : 0)});
  }
  const bool has_limited =
      std::any_of(runs.begin(), runs.end(), [](const auto& run) { return run.reached_trained_context; });
  return table.text() +
         (has_limited ? "* stops at the trained context: keeps every token, or its positions are absolute\n"
                      : "");
}

/// Runs one strategy behind the others in `runs`.
void run_strategy(const PerplexityFlags& flags, const std::shared_ptr<const Model>& model,
                  const ModelRun& planned, const std::string& model_sha256, const std::atomic<bool>* cancel,
                  std::vector<eval::PerplexityRun>& runs) {
  const std::shared_ptr<const Policy>& policy = planned.policy;
  SessionOptions options = planned.options;
  options.cancel = cancel;
  if (flags.engine.positions == "absolute") options.past_trained_context = true;  // asked for, to be measured
  runs.emplace_back();
  eval::PerplexityRun& run = runs.back();
  run.info = describe(flags, *model, *policy, options);
  run.info.model_sha256 = model_sha256;
  std::ifstream file(flags.file, std::ios::binary);
  TokenStream tokens(*model, file, flags.file);
  spdlog::info("{} ({})", run.info.name, to_string(*options.positions));
  const std::int64_t n_total = flags.total_tokens.value_or(kMaxTokens);
  try {
    const eval::PerplexitySettings settings{
        .n_window = flags.window, .n_total = n_total, .n_before = flags.evict_at.value_or(0)};
    const auto measure = flags.evict_at ? eval::run_one_shot_perplexity : eval::run_perplexity;
    measure(model, options, policy, tokens, settings, run);
    run.info.status = "complete";
    if (const int n_trained = model->info().n_context_trained; !flags.evict_at &&
                                                               options.positions == PositionMode::kAbsolute &&
                                                               n_trained > 0 && run.n_tokens > n_trained) {
      spdlog::warn("{}: positions went to {}, but {} was trained on contexts of {}", run.info.name,
                   run.n_tokens - 1, model->info().name, n_trained);
    }
  } catch (...) {
    run.info.status = is_cancellation_under_way() ? "interrupted" : "failed";
    throw;
  }
  run.info.seconds_total = run.seconds;
}

void run_all(const PerplexityFlags& flags, const std::vector<ModelRun>& planned,
             const std::shared_ptr<const Model>& model, const fs::path& output) {
  const InterruptGuard interrupt;
  const std::string model_sha256 = model->sha256();
  const eval::PerplexityText text{fs::path(flags.file).filename().string(), sha256_of_file(flags.file),
                                  flags.window, flags.evict_at.value_or(0)};
  std::vector<eval::PerplexityRun> runs;
  try {
    for (const ModelRun& run : planned) {
      run_strategy(flags, model, run, model_sha256, interrupt.flag(), runs);
      eval::write_perplexity(text, runs, output);
    }
  } catch (...) {  // whatever it is, what was done is kept
    if (!runs.empty() && !runs.front().windows.empty()) {
      eval::write_perplexity(text, runs, output);
      fmt::print("{}", table_of(runs, flags.window));
      spdlog::warn("stopped before the end; what is done is in {}", output.string());
    }
    throw;
  }
  fmt::print("{}results: {}\n", table_of(runs, flags.window), output.string());
}

void require_prefill(const PerplexityFlags& flags) {
  if (flags.evict_at && *flags.evict_at < 2) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--evict_at is {}: an eviction needs 2 or more tokens before it", *flags.evict_at));
  }
  if (!flags.evict_at && !flags.engine.is_bounded()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "perplexity is measured while the text streams in: --prefill bounded is needed, or --evict_at for "
        "one eviction of what was held in full");
  }
}

/// With one eviction what is before it is held in full. `is_given`: whether the user named a prefill.
PerplexityFlags with_prefill(PerplexityFlags flags, bool is_given) {
  if (flags.evict_at && is_given && flags.engine.is_bounded()) {
    throw Error(ErrorCode::kInvalidArgument,
                "--prefill bounded evicts all along, --evict_at once: one of the two can be given");
  }
  if (flags.evict_at) flags.engine.prefill = "full";
  return flags;
}

void run_perplexity_command(const PerplexityFlags& flags) {
  if (flags.window < 1 || (flags.total_tokens && *flags.total_tokens < 1)) {
    throw Error(ErrorCode::kInvalidArgument, "--window and --total_tokens take 1 or more tokens");
  }
  require_prefill(flags);
  std::error_code ignored;
  if (!fs::is_regular_file(flags.file, ignored)) {
    throw Error(ErrorCode::kNotFound,
                "there is no text file " + flags.file + " (several strategies read it one after the other)");
  }
  StrategyFlags strategy = flags.strategy;
  if (strategy.strategy.empty() && strategy.strategies.empty()) strategy.strategies = kDefaultStrategies;
  std::vector<StrategySpec> specs = strategy.specs("full");
  const fs::path output = flags.output.empty() ? fs::path("results") / ("perplexity-" + utc_now() + ".json")
                                               : fs::path(flags.output);
  if (!flags.engine.dry_run) require_writable(output);
  const auto model = flags.engine.load_model();
  specs = specs_for(*model, std::move(specs), flags.strategy);
  note_positions(flags.engine, *model);
  std::vector<ModelRun> planned;
  for (const StrategySpec& spec : specs) {  // refuses what cannot run before anything does
    planned.push_back(make_run(flags.engine, spec, model));
    if (flags.engine.dry_run) fmt::print("{}", dry_run_text(planned.back()));
  }
  if (!flags.engine.dry_run) run_all(flags, planned, model, output);
}

}  // namespace

void add_perplexity(CLI::App& app) {
  auto flags = std::make_shared<PerplexityFlags>();
  flags->engine.prefill = "bounded";
  CLI::App* command = app.add_subcommand(
      "perplexity", "Perplexity of several strategies over the same text, streamed or behind one eviction");
  command->add_option("file", flags->file, "The text")->required()->option_text("FILE");
  add_count(*command, "window", flags->window, "Tokens of text over which each perplexity is taken")
      ->capture_default_str();
  flags->strategy.add_to(*command, true);
  add_count(*command, "total_tokens", flags->total_tokens, "Stop after so many tokens of the text (its end)");
  add_count(
      *command, "evict_at", flags->evict_at,
      "Evict once, after so many tokens held in full, and judge the window behind them, of passages of the "
      "text one after the other");
  add_option(*command, "output", flags->output, "Results file (results/perplexity-<time>.json)")
      ->option_text("FILE");
  flags->engine.add_to(*command);
  command->callback(
      [flags, command] { run_perplexity_command(with_prefill(*flags, command->count("--prefill") > 0)); });
}

}  // namespace kvevict::cli
