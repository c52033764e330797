// kvevict tune: looks for the configuration that is best under a limit, and says how good it is on examples
// that did not choose it.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/machine_info.h"
#include "base/units.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/longbench_job.h"
#include "cli/longbench_report.h"
#include "cli/progress.h"
#include "cli/ready_command.h"
#include "cli/subcommands.h"
#include "cli/table.h"
#include "cli/template_advice.h"
#include "experiments/tuning_race.h"
#include "hub/locations.h"
#include "kvevict/error.h"
#include "kvevict/memory.h"
#include "results/statistics.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostTokensWithoutLimit = 2048;
constexpr std::int64_t kLeastRecentTokens = 8;

struct TuneFlags {
  LongBenchFlags run;
  std::optional<double> min_score;
  std::string kv_memory;
};

void require_sound(const TuneFlags& flags) {
  if (!flags.kv_memory.empty()) static_cast<void>(parse_bytes(flags.kv_memory));
  if (flags.kv_memory.empty() && !flags.min_score) {
    throw Error(ErrorCode::kInvalidArgument,
                "a limit or a goal is needed: --kv_memory SIZE, --min_score POINTS, or both");
  }
  if (flags.run.engine.dry_run) {
    throw Error(ErrorCode::kInvalidArgument, "--dry_run has nothing to show here: tune has to run the model");
  }
  if (flags.min_score && !(*flags.min_score >= 0 && *flags.min_score <= 100)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--min_score is {}: 0 to 100 points are needed", *flags.min_score));
  }
}

/// Bytes of K and V that the candidates may take.
std::int64_t most_bytes(const TuneFlags& flags, std::int64_t bytes_per_token) {
  return flags.kv_memory.empty() ? kMostTokensWithoutLimit * bytes_per_token : parse_bytes(flags.kv_memory);
}

/// The tokens a layer to try: what the limit holds in whole steps of llama.cpp's cells; if a score is the
/// goal, parts of it too, for the smallest that is good enough. Fewer than the cells of one step save no
/// memory.
std::set<std::int64_t> sizes_to_try(const TuneFlags& flags, std::int64_t n_tokens) {
  std::set<std::int64_t> sizes = {n_tokens};
  for (const std::int64_t part : {8, 4, 2}) {
    if (flags.min_score) sizes.insert(std::max(n_tokens / part / kCellPadding * kCellPadding, kCellPadding));
  }
  return sizes;
}

/// Shortens the recent window until the strategy stays within `bytes`; false if none does.
bool shorten(StrategySpec& spec, std::int64_t bytes, const Model& model, const SessionOptions& options) {
  std::int64_t& recent = spec.config.recent_tokens;
  const auto fits = [&](std::int64_t n_recent) {
    recent = n_recent;
    const MemoryNeeded needed = memory_needed(model, *make_policy(spec), options, {});
    return limited_bytes(needed, options, {}) <= bytes;
  };
  std::int64_t n_too_many = recent + 1;
  std::int64_t n_fits = kLeastRecentTokens;
  if (n_fits >= n_too_many || !fits(n_fits)) return false;
  while (n_too_many - n_fits > 1) {
    const std::int64_t n = n_fits + (n_too_many - n_fits) / 2;
    (fits(n) ? n_fits : n_too_many) = n;
  }
  recent = n_fits;
  return true;
}

/// All shapes that with all they need beyond their budget stay within the limit.
std::vector<ChosenStrategy> candidates(const TuneFlags& flags, const Model& model) {
  std::vector<ChosenStrategy> chosen;
  const SessionOptions options = flags.run.engine.session_options();
  const std::int64_t bytes_per_token =
      std::max<std::int64_t>(1, model.kv_bytes_per_token(options.type_k, options.type_v));
  const std::int64_t limit = most_bytes(flags, bytes_per_token);
  for (const std::int64_t size : sizes_to_try(flags, limit / bytes_per_token / kCellPadding * kCellPadding)) {
    for (StrategySpec& spec : eval::tuning_grid(size)) {
      if (shorten(spec, std::min(limit, size * bytes_per_token), model, options))
        chosen.push_back({spec, std::nullopt});
    }
  }
  if (!chosen.empty()) return chosen;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("--kv_memory {} is too small for every shape: llama.cpp allocates {} cells at least, "
                  "{:.1f} MiB, and a chunk or the decode slack come on top",
                  flags.kv_memory, kCellPadding, to_mib(kCellPadding * bytes_per_token)));
}

/// 95 % interval of the mean over the data sets.
eval::PairedComparison score_of(const eval::RunResult& run) {
  std::vector<std::vector<double>> groups;
  for (const eval::DatasetResult& dataset : run.datasets) {
    groups.emplace_back();
    for (const eval::ExampleResult& example : dataset.examples) groups.back().push_back(100 * example.score);
  }
  return eval::compare_pairs(groups);
}

double mean_kv_mib(const eval::RunResult& run) {
  std::vector<double> mib;
  for (const eval::DatasetResult& dataset : run.datasets) {
    for (const eval::ExampleResult& e : dataset.examples) mib.push_back(to_mib(e.kv_bytes_after_eviction));
  }
  return eval::mean_of(mib);
}

std::string interval_text(const eval::PairedComparison& score) {
  return fmt::format("{:.2f} [{:.1f}, {:.1f}]", score.difference, score.interval.low, score.interval.high);
}

std::string race_table(const eval::TuningRace& race) {
  Table table({"candidate", "examples", "score [95% CI]", "KV MiB", ""});
  const auto add = [&](const eval::RunResult& run, const char* note) {
    const eval::PairedComparison score = score_of(run);
    table.add({run.info.name, std::to_string(score.n_pairs), interval_text(score),
               fmt::format("{:.1f}", mean_kv_mib(run)), note});
  };
  for (const eval::RunResult& run : race.results.runs) add(run, "");
  for (const eval::RunResult& run : race.given_up) add(run, "given up");
  return table.text();
}

void write_race(eval::TuningRace& race, const ChosenData& data, const std::string& sha256,
                const fs::path& output) {
  eval::Results results = race.results;
  for (const eval::RunResult& run : race.given_up) results.runs.push_back(run);
  for (eval::RunResult& run : results.runs) run.info.model_sha256 = sha256;
  results.data = data.info;
  eval::write_results(results, output);
}

fs::path held_out_path(const fs::path& output) {
  return output.parent_path() / (output.stem().string() + "-held-out" + output.extension().string());
}

/// The winner and the full cache on the examples that chose nothing.
void judge(const TuneFlags& flags, const eval::TuningRace& race, std::size_t winner, ChosenData held_out,
           const std::string& sha256, const fs::path& output) {
  eval::LongBenchJob job = race.job;
  job.datasets = held_out.jobs;
  if (eval::count_examples(job.datasets) == 0) {
    fmt::print("held out  no example: there are fewer than three\n");
    return;
  }
  const eval::RunStrategy chosen = race.job.strategies[winner];
  job.strategies = {{.policy = make_policy(parse_strategy("full"))}, chosen};
  eval::Results results = empty_results(flags.run, job, held_out);
  for (eval::RunResult& run : results.runs) run.info.model_sha256 = sha256;
  eval::run_longbench(job, results, [](std::size_t, const std::string&, const eval::ExampleResult&) {});
  eval::write_results(results, held_out_path(output));
  fmt::print("held out  {} on {} examples that did not choose it; the full cache: {}\n",
             interval_text(score_of(results.runs[1])), eval::count_examples(job.datasets),
             interval_text(score_of(results.runs[0])));
}

/// Takes the held-out examples out of `data`; what is left chooses.
ChosenData split(ChosenData& data) {
  ChosenData held_out = data;
  std::size_t n_before = 0;
  for (std::size_t i = 0; i < data.jobs.size(); ++i) {
    eval::SplitExamples parts = eval::split_examples(data.jobs[i].examples, n_before);
    data.info[i].ids.clear();
    held_out.info[i].ids.clear();
    for (const eval::LongBenchExample& e : parts.choosing) data.info[i].ids.push_back(e.id);
    for (const eval::LongBenchExample& e : parts.held_out) held_out.info[i].ids.push_back(e.id);
    data.jobs[i].examples = std::move(parts.choosing);
    held_out.jobs[i].examples = std::move(parts.held_out);
  }
  for (ChosenData* const part : {&data, &held_out}) {
    std::erase_if(part->jobs, [](const eval::DatasetJob& job) { return job.examples.empty(); });
    std::erase_if(part->info, [](const eval::DataInfo& info) { return info.ids.empty(); });
  }
  return held_out;
}

/// `given`: the options of this command as the winner's command line repeats them.
void run_tune(TuneFlags flags, const std::string& given) {
  flags.kv_memory =
      std::exchange(flags.run.engine.kv_memory, "");  // the grid holds to it, not each strategy by itself
  require_sound(flags);
  const eval::TuningGoal goal{.least_score = flags.min_score};
  const fs::path output = flags.run.output.empty() ? fs::path("results") / ("tune-" + utc_now() + ".json")
                                                   : fs::path(flags.run.output);
  eval::require_writable_results(output);
  eval::require_writable_results(held_out_path(output));
  const eval::PromptTemplates templates(data_folder() / "longbench", flags.run.longbench_config);
  const eval::Scorer scorer(data_folder() / "jieba");
  ChosenData data = choose_data(flags.run, templates);
  const ChosenData held_out = split(data);
  const InterruptGuard interrupt;
  eval::TuningRace race{.job = make_job(flags.run, {}, data.jobs), .results = {}, .given_up = {}};
  race.job.templates = &templates;
  race.job.scorer = &scorer;
  race.job.settings.session.cancel = interrupt.flag();
  for (const ChosenStrategy& candidate : candidates(flags, *race.job.model)) {
    race.job.strategies.push_back(make_strategy(flags.run.engine, candidate, *race.job.model));
  }
  race.results = empty_results(flags.run, race.job, data);
  const std::string sha256 = race.job.model->sha256();
  try {
    eval::run_tuning_race(race, data.jobs, goal, [](std::size_t n_candidates, std::int64_t n_examples) {
      fmt::print(stderr, "tune: {} candidates on {} examples\n", n_candidates, n_examples);
    });
  } catch (...) {  // whatever it is, what was done is kept
    if (has_examples(race.results)) {
      write_race(race, data, sha256, output);
      spdlog::warn("stopped before the end; what is done is in {}", output.string());
    }
    throw;
  }
  write_race(race, data, sha256, output);
  fmt::print("{}", race_table(race));
  const std::optional<std::size_t> winner = eval::winning_run(race.results.runs, goal);
  if (!winner) {
    fmt::print(
        "no configuration reaches {} points on these examples: raise --kv_memory or lower "
        "--min_score\nresults   {}\n",
        *flags.min_score, output.string());
    return;
  }
  const eval::RunResult& best = race.results.runs[*winner];
  fmt::print("\nchosen    {}: {} on the examples that chose it, {:.1f} MiB of K and V\n", best.info.name,
             interval_text(score_of(best)), mean_kv_mib(best));
  judge(flags, race, *winner, held_out, sha256, output);
  fmt::print("results   {}\nrun it    kvevict longbench --strategy {}{}\n", output.string(),
             shell_quoted(best.info.name), given);
}

}  // namespace

void add_tune(CLI::App& app) {
  auto flags = std::make_shared<TuneFlags>();
  LongBenchFlags& run = flags->run;
  CLI::App* command = app.add_subcommand(
      "tune", "Find the best configuration under a memory limit, or the smallest that is good enough");
  command
      ->add_option(both_spellings("min_score"), flags->min_score,
                   "Points that are good enough: the smallest memory wins")
      ->option_text("POINTS");
  add_option(*command, "dataset", run.datasets, "Data sets (without it: all that have a file in --data_dir)")
      ->delimiter(',')
      ->option_text("NAME,...");
  add_option(*command, "data_dir", run.data_dir, "Folder of LongBench's <dataset>.jsonl files (the demo set)")
      ->option_text("DIR");
  add_option(*command, "longbench_config", run.longbench_config,
             "Folder with LongBench's own prompts and lengths")
      ->option_text("DIR");
  add_count(*command, "num_examples", run.num_examples,
            "Examples of each data set (all); every third one is held out");
  add_count(*command, "max_new_tokens", run.max_new_tokens,
            "Answer tokens (LongBench's number for each data set)");
  add_count(*command, "max_length", run.max_length,
            "Longest prompt in tokens; longer ones are cut in the middle");
  add_option(*command, "output", run.output,
             "Results file (results/tune-<time>.json); held-out examples go to *-held-out.json")
      ->option_text("FILE");
  run.engine.add_to(*command);
  command->callback([flags, command] {
    with_template_advice("kvevict longbench --chat off asks without one", [&] {
      run_tune(*flags, given_options(*command, {"min_score", "kv_memory", "output"}));
    });
  });
}

}  // namespace kvevict::cli
