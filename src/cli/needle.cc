// kvevict needle: which strategy still finds a passkey, by depth and length of the text around it.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "cli/engine_flags.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/longbench_job.h"
#include "cli/longbench_report.h"
#include "cli/progress.h"
#include "cli/strategy_flags.h"
#include "cli/subcommands.h"
#include "cli/table.h"
#include "experiments/needle.h"
#include "kvevict/error.h"
#include "results/run_json.h"

namespace kvevict::cli {
namespace {

struct NeedleFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  std::vector<std::int64_t> lengths = {512, 1024};
  std::vector<std::int64_t> depths = {0, 25, 50, 75, 100};
  std::int64_t n_keys = 1;
  std::uint64_t seed = 1;
  std::string output;
};

void require_range(const char* flag, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--{} has {}: {} to {} is needed", flag, value, least, most));
}

std::string needle_table(const eval::NeedleMap& map) {
  std::vector<std::string> header = {"strategy", "tokens"};
  for (const std::int64_t depth : map.depths) header.push_back(fmt::format("{} %", depth));
  Table table(header);
  for (std::size_t s = 0; s < map.strategies.size(); ++s) {
    for (std::size_t l = 0; l < map.lengths.size(); ++l) {
      std::vector<std::string> row = {map.strategies[s], std::to_string(map.lengths[l])};
      for (std::size_t d = 0; d < map.depths.size(); ++d)
        row.push_back(fmt::format("{:.2f}", map.found(s, l, d)));
      table.add(std::move(row));
    }
  }
  return table.text();
}

nlohmann::ordered_json needle_json(const eval::NeedleMap& map, const std::vector<eval::RunInfo>& runs) {
  nlohmann::ordered_json json = {
      {"schema", "kvevict-needle/1"}, {"lengths", map.lengths}, {"depths", map.depths}};
  json["runs"] = nlohmann::ordered_json::array();
  for (std::size_t s = 0; s < map.strategies.size(); ++s) {
    nlohmann::ordered_json cells = nlohmann::ordered_json::array();
    for (const eval::NeedleAnswer& a : map.answers) {
      if (a.strategy != s) continue;
      cells.push_back({{"length", map.lengths[a.length]},
                       {"depth", map.depths[a.depth]},
                       {"prompt_tokens", a.n_prompt_tokens},
                       {"kept_tokens", a.n_kept_tokens},
                       {"key", a.key},
                       {"prediction", a.prediction},
                       {"found", a.is_found}});
    }
    json["runs"].push_back({{"run", eval::run_json(runs[s])}, {"answers", std::move(cells)}});
  }
  return json;
}

void run_needle_command(const NeedleFlags& flags) {
  if (flags.engine.dry_run) {
    throw Error(ErrorCode::kInvalidArgument,
                "--dry_run has nothing to show here: needle has to run the model");
  }
  for (const std::int64_t length : flags.lengths) require_range("lengths", length, 64, 1'000'000);
  for (const std::int64_t depth : flags.depths) require_range("depths", depth, 0, 100);
  require_range("keys", flags.n_keys, 1, 1000);
  const std::vector<ChosenStrategy> chosen = flags.strategy.chosen("full");
  if (!flags.output.empty()) require_writable(flags.output);
  const InterruptGuard interrupt;
  eval::NeedleJob job{.model = flags.engine.load_model(),
                      .strategies = {},
                      .session = flags.engine.session_options(),
                      .lengths = flags.lengths,
                      .depths = flags.depths,
                      .n_keys = flags.n_keys,
                      .seed = flags.seed};
  job.session.cancel = interrupt.flag();
  std::vector<eval::RunInfo> runs;
  for (const ChosenStrategy& strategy : chosen) {
    job.strategies.push_back(make_strategy(flags.engine, strategy, *job.model));
    runs.push_back(describe_run(*job.model, *job.strategies.back().policy));
    runs.back().status = "complete";
    runs.back().model_sha256 = job.model->sha256();
  }
  Progress progress(static_cast<std::int64_t>(flags.lengths.size() * flags.depths.size()) * flags.n_keys);
  const eval::NeedleMap map = eval::run_needle(job, [&](std::int64_t length, std::int64_t depth) {
    progress.step(fmt::format("{} tokens, depth {} %", length, depth));
  });
  if (!flags.output.empty())
    write_file_atomically(
        flags.output,
        needle_json(map, runs).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  fmt::print("{}", needle_table(map));
}

}  // namespace

void add_needle(CLI::App& app) {
  auto flags = std::make_shared<NeedleFlags>();
  CLI::App* command = app.add_subcommand(
      "needle", "Find a passkey at every depth of texts of several lengths, by several strategies");
  flags->strategy.add_to(*command, true);
  add_option(*command, "lengths", flags->lengths, "Tokens of the prompts (512,1024)")
      ->delimiter(',')
      ->check(check_whole_number)
      ->option_text("N,...");
  add_option(*command, "depths", flags->depths,
             "Where the passkey stands, in percent of the text (0,25,50,75,100)")
      ->delimiter(',')
      ->check(check_whole_number)
      ->option_text("PERCENT,...");
  add_count(*command, "keys", flags->n_keys, "Passkeys for each length and depth (1)");
  add_count(*command, "seed", flags->seed, "Seed of the passkeys (1)");
  add_option(*command, "output", flags->output, "JSON file for the map")->option_text("FILE");
  flags->engine.add_to(*command);
  command->callback([flags] { run_needle_command(*flags); });
}

}  // namespace kvevict::cli
