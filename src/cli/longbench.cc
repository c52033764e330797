// kvevict longbench: answers LongBench questions under a KV budget.
#include <fmt/format.h>

#include <array>
#include <memory>

#include "cli/flags.h"
#include "cli/longbench_job.h"
#include "cli/longbench_report.h"
#include "cli/longbench_run.h"
#include "cli/question_flag.h"
#include "cli/strategy_file.h"
#include "cli/subcommands.h"
#include "cli/template_advice.h"
#include "hub/locations.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

/// Demo mode's small budgets for strategies that are named without values: about a tenth to a third of
/// the demo prompts.
constexpr std::array kDemoStrategies = {"sink_recent:64:256", "sink_recent_uniform:64:256:512",
                                        "streaming_llm:4:316"};
constexpr std::int64_t kDemoExamples = 2;
constexpr const char* kDemoDataset = "multifieldqa_en";

void require_at_least_one(const char* flag, const std::optional<std::int64_t>& value) {
  if (value && *value < 1) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--{} is {}: 1 or more is needed", flag, *value));
  }
}

/// Gives the names in a list of strategies that come without values demo mode's small budgets.
std::string with_demo_budgets(const std::string& names) {
  if (is_strategy_file(names)) return names;
  std::string text;
  for (const std::string& name : split_at_commas(names)) {
    std::string chosen = name;
    for (const std::string demo : kDemoStrategies) {
      if (demo.substr(0, demo.find(':')) == name) chosen = demo;
    }
    text += (text.empty() ? "" : ",") + chosen;
  }
  return text;
}

/// What demo mode sets if the user says nothing.
void apply_demo_mode(LongBenchFlags& flags) {
  if (!flags.strategy.is_named()) {
    flags.strategy.strategy = "sink_recent";
    flags.strategy.is_ours = true;
  }
  flags.strategy.strategy = with_demo_budgets(flags.strategy.strategy);
  flags.strategy.strategies = with_demo_budgets(flags.strategy.strategies);
  if (!flags.num_examples) flags.num_examples = kDemoExamples;
  if (flags.datasets.empty()) flags.datasets = {kDemoDataset};
}

void run_longbench_command(LongBenchFlags flags) {
  require_at_least_one("num_examples", flags.num_examples);
  require_at_least_one("max_new_tokens", flags.max_new_tokens);
  require_at_least_one("max_length", flags.max_length);
  if (flags.first_token == "full" && question_order(flags.question) == eval::QuestionOrder::kAfter) {
    throw Error(ErrorCode::kInvalidArgument,
                "--first_token full draws from a cache that holds the whole prompt, --question after asks a "
                "cache that was evicted before: one of the two can be given");
  }
  if (flags.demo_mode) apply_demo_mode(flags);
  const std::vector<ChosenStrategy> strategies = flags.strategy.chosen("sink_recent");
  static_cast<void>(flags.engine.session_options());  // bad values before anything is read
  if (!flags.engine.dry_run) check_output(flags);

  const eval::PromptTemplates templates(data_folder() / "longbench", flags.longbench_config);
  const eval::Scorer scorer(data_folder() / "jieba");
  ChosenData data = choose_data(flags, templates);
  eval::LongBenchJob job = make_job(flags, strategies, std::move(data.jobs));
  job.templates = &templates;
  job.scorer = &scorer;
  if (flags.engine.dry_run) {
    fmt::print("{}", memory_table(job));
    return;
  }
  if (flags.demo_mode) {
    fmt::print(stderr, "demo: {} on {}, the demo set's scores are not LongBench scores\n",
               job.model->info().name, fmt::join(flags.datasets, ", "));
  }
  run_and_report(flags, job, data);
}

}  // namespace

void add_longbench(CLI::App& app) {
  auto flags = std::make_shared<LongBenchFlags>();
  CLI::App* command =
      app.add_subcommand("longbench", "Answer LongBench questions under a KV budget, and score the answers");
  add_flag(*command, "demo_mode", flags->demo_mode,
           "Default model, 2 examples, small budget: no other flag needed");
  flags->strategy.add_to(*command, true);
  add_option(*command, "dataset", flags->datasets,
             "Data sets (without it: all that have a file in --data_dir)")
      ->delimiter(',')
      ->option_text("NAME,...");
  add_option(*command, "data_dir", flags->data_dir, "Folder of LongBench's <dataset>.jsonl files")
      ->option_text("DIR");
  add_option(*command, "longbench_config", flags->longbench_config,
             "Folder with LongBench's own dataset2prompt.json and dataset2maxlen.json")
      ->option_text("DIR");
  add_count(*command, "num_examples", flags->num_examples, "Examples of each data set (all)");
  add_count(*command, "max_new_tokens", flags->max_new_tokens,
            "Answer tokens (LongBench's number for each data set)");
  add_count(*command, "max_length", flags->max_length,
            "Longest prompt in tokens; longer ones are cut in the middle (trained context less the answer)");
  add_option(*command, "chat", flags->chat, "Chat template: auto follows LongBench's rule of the data set")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  add_option(*command, "first_token", flags->first_token,
             "The cache that the first answer token is drawn from")
      ->check(CLI::IsMember({"evicted", "full"}))
      ->capture_default_str();
  add_question(*command, flags->question);
  add_option(*command, "temperature", flags->sampling.temperature, "Sampling temperature (0: greedy)")
      ->option_text("T");
  add_count(*command, "seed", flags->sampling.seed, "Seed of the sampler, where the temperature is above 0");
  add_option(*command, "share_prefill", flags->share_prefill,
             "One prefill for all strategies and for questions on one document: on, or off to time each "
             "strategy alone")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  add_option(*command, "ids", flags->ids, "Only the examples with these ids")
      ->delimiter(',')
      ->option_text("ID,...");
  add_option(*command, "shard", flags->shard, "Only the i-th of n parts of the work (see kvevict merge)")
      ->option_text("i/n");
  add_option(*command, "output", flags->output,
             "Results file (results/longbench-<time>.json); one of the same configuration is continued")
      ->option_text("FILE");
  add_flag(*command, "restart", flags->restart,
           "Start anew, replacing the results that the output file holds");
  flags->engine.add_to(*command);
  command->callback(
      [flags] { with_template_advice("give --chat off", [&] { run_longbench_command(*flags); }); });
}

}  // namespace kvevict::cli
