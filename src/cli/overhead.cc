// kvevict overhead: what each strategy costs beside llama.cpp alone.
#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/machine_info.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/longbench_job.h"
#include "cli/longbench_report.h"
#include "cli/model_run.h"
#include "cli/progress.h"
#include "cli/subcommands.h"
#include "cli/table.h"
#include "engine/trained_context.h"
#include "experiments/overhead_run.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "results/run_json.h"

namespace kvevict::cli {
namespace {

/// All strategies, 1,024 tokens per layer each, but for full.
std::string default_strategies() {
  std::string list;
  for (const PolicyInfo& info : all_policies()) {
    list += (list.empty() ? "" : ",") + info.name + (info.compared_at.empty() ? "" : ":" + info.compared_at);
  }
  return list;
}

struct OverheadFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  std::string file;
  std::int64_t prompt_tokens = 2048;
  std::int64_t max_new_tokens = 64;
  std::int64_t rounds = 3;
  std::string output;
};

std::vector<Token> first_tokens(const Model& model, const OverheadFlags& flags) {
  std::vector<Token> tokens = model.tokenize(read_text(flags.file), true, false);
  if (static_cast<std::int64_t>(tokens.size()) < flags.prompt_tokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} has {} tokens, --prompt_tokens asks for {}: a longer text is needed",
                            flags.file, tokens.size(), flags.prompt_tokens));
  }
  tokens.resize(static_cast<std::size_t>(flags.prompt_tokens));
  return tokens;
}

eval::Spread spread(const std::vector<eval::OverheadSample>& samples, double eval::OverheadSample::*value) {
  return eval::spread_of(samples, [value](const eval::OverheadSample& s) { return s.*value; });
}

/// The median and, in brackets, the least.
std::string cell(const eval::Spread& spread, double factor, int n_digits) {
  return fmt::format("{:.{}f} ({:.{}f})", factor * spread.median, n_digits, factor * spread.least, n_digits);
}

std::string mib(const std::vector<eval::OverheadSample>& samples, std::int64_t eval::OverheadSample::*value) {
  const eval::Spread bytes = eval::spread_of(
      samples, [value](const eval::OverheadSample& s) { return static_cast<double>(s.*value); });
  return fmt::format("{:.1f}", bytes.median / (1 << 20));
}

std::string rate_cell(double n, const eval::Spread& seconds) {
  return fmt::format("{:.1f} ({:.1f})", n / seconds.median, n / seconds.least);
}

std::string table_of(const eval::OverheadJob& job, const eval::OverheadSamples& samples) {
  Table table({"strategy", "positions", "prefill s", "x alone", "decide ms", "move ms", "memory MiB",
               "KV MiB", "decode tok/s", "x alone"});
  const eval::Spread plain_prefill = spread(samples.plain, &eval::OverheadSample::seconds_prefill);
  const eval::Spread plain_decode = spread(samples.plain, &eval::OverheadSample::seconds_decode);
  const auto n_new = static_cast<double>(job.n_new);
  table.add({"llama.cpp alone", "", cell(plain_prefill, 1, 3), "1.00", "", "",
             mib(samples.plain, &eval::OverheadSample::resident_bytes), "", rate_cell(n_new, plain_decode),
             "1.00"});
  for (std::size_t i = 0; i < job.strategies.size(); ++i) {
    const auto& runs = samples.strategies[i];
    const eval::Spread prefill = spread(runs, &eval::OverheadSample::seconds_prefill);
    const eval::Spread decode = spread(runs, &eval::OverheadSample::seconds_decode);
    table.add(
        {to_string(job.strategies[i].policy->spec()), std::string(to_string(job.strategies[i].positions)),
         cell(prefill, 1, 3), fmt::format("{:.2f}", prefill.median / plain_prefill.median),
         cell(spread(runs, &eval::OverheadSample::seconds_decide), 1e3, 3),
         cell(spread(runs, &eval::OverheadSample::seconds_move), 1e3, 1),
         mib(runs, &eval::OverheadSample::resident_bytes), mib(runs, &eval::OverheadSample::kv_bytes_after),
         rate_cell(n_new, decode), fmt::format("{:.2f}", plain_decode.median / decode.median)});
  }
  return table.text();
}

nlohmann::ordered_json samples_json(const std::vector<eval::OverheadSample>& samples) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const eval::OverheadSample& s : samples) {
    json.push_back({{"seconds_prefill", s.seconds_prefill},
                    {"seconds_decide", s.seconds_decide},
                    {"seconds_move", s.seconds_move},
                    {"seconds_decode", s.seconds_decode},
                    {"resident_bytes", s.resident_bytes},
                    {"kv_bytes_after", s.kv_bytes_after}});
  }
  return json;
}

void write_overhead(const OverheadFlags& flags, const eval::OverheadJob& job,
                    const eval::OverheadSamples& samples) {
  nlohmann::ordered_json json = {{"schema", "kvevict-overhead/1"},
                                 {"created", utc_now()},
                                 {"machine", machine_info()},
                                 {"prompt_tokens", flags.prompt_tokens},
                                 {"new_tokens", flags.max_new_tokens},
                                 {"plain", samples_json(samples.plain)},
                                 {"runs", nlohmann::ordered_json::array()}};
  const std::string model_sha256 = job.model->sha256();
  for (std::size_t i = 0; i < job.strategies.size(); ++i) {
    eval::RunInfo info = describe_run(*job.model, *job.strategies[i].policy);
    info.model_sha256 = model_sha256;
    info.status = "complete";
    json["runs"].push_back({{"run", eval::run_json(info)},
                            {"prefill", std::string(to_string(job.strategies[i].prefill))},
                            {"positions", std::string(to_string(job.strategies[i].positions))},
                            {"by_attention", job.strategies[i].policy->score_request().has_value()},
                            {"by_keys", job.strategies[i].policy->key_request().has_value()},
                            {"samples", samples_json(samples.strategies[i])}});
  }
  write_file_atomically(flags.output,
                        json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void run_overhead_command(const OverheadFlags& flags) {
  if (flags.engine.dry_run) {
    throw Error(ErrorCode::kInvalidArgument,
                "--dry_run has nothing to show here: overhead has to run the model");
  }
  if (flags.prompt_tokens < 2 || flags.max_new_tokens < 1 || flags.rounds < 1 || flags.rounds > 1000) {
    throw Error(ErrorCode::kInvalidArgument,
                "--prompt_tokens takes 2 or more tokens, --max_new_tokens 1 or more, --rounds 1 to 1000");
  }
  if (!flags.output.empty()) require_writable(flags.output);
  StrategyFlags strategy = flags.strategy;
  if (strategy.strategy.empty() && strategy.strategies.empty()) strategy.strategies = default_strategies();
  const std::vector<ChosenStrategy> chosen = strategy.chosen("full");
  const InterruptGuard interrupt;
  eval::OverheadJob job{.model = flags.engine.load_model(),
                        .strategies = {},
                        .session = flags.engine.session_options(),
                        .prompt = {},
                        .n_new = flags.max_new_tokens,
                        .n_rounds = static_cast<int>(flags.rounds)};
  job.session.cancel = interrupt.flag();
  job.prompt = first_tokens(*job.model, flags);
  for (const ChosenStrategy& one : chosen) {
    job.strategies.push_back(make_strategy(flags.engine, one, *job.model));
    SessionOptions options = job.session;
    options.positions = job.strategies.back().positions;
    options.prefill = job.strategies.back().prefill;
    require_trained_positions(*job.model, options, flags.prompt_tokens + flags.max_new_tokens);
    static_cast<void>(
        Session(job.model, job.strategies.back().policy, options));  // refuses before anything runs
  }
  Progress progress(static_cast<std::int64_t>(chosen.size() + 1) * flags.rounds);
  const eval::OverheadSamples samples =
      eval::run_overhead(job, [&](const std::string& what) { progress.step(what); });
  if (!flags.output.empty()) write_overhead(flags, job, samples);
  fmt::print("{} prompt tokens, {} new ones, median (best) of {} rounds in turn\n{}", flags.prompt_tokens,
             flags.max_new_tokens, flags.rounds, table_of(job, samples));
}

}  // namespace

void add_overhead(CLI::App& app) {
  auto flags = std::make_shared<OverheadFlags>();
  CLI::App* command = app.add_subcommand(
      "overhead", "What each strategy costs in time and memory beside llama.cpp alone, in one run");
  command->add_option("file", flags->file, "The text whose beginning is the prompt")
      ->required()
      ->option_text("FILE");
  flags->strategy.add_to(*command, true);
  add_count(*command, "prompt_tokens", flags->prompt_tokens, "Tokens of the prompt")->capture_default_str();
  add_count(*command, "max_new_tokens", flags->max_new_tokens, "Tokens decoded behind it")
      ->capture_default_str();
  add_count(*command, "rounds", flags->rounds, "Times that everything is measured, in turn")
      ->capture_default_str();
  add_option(*command, "output", flags->output, "JSON file for every sample")->option_text("FILE");
  flags->engine.add_to(*command);
  command->callback([flags] { run_overhead_command(*flags); });
}

}  // namespace kvevict::cli
