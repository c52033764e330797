// kvevict longbench: answers LongBench questions under a KV budget.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <future>
#include <memory>

#include "cli/engine_flags.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/longbench_report.h"
#include "cli/progress.h"
#include "cli/strategy_flags.h"
#include "cli/subcommands.h"
#include "eval/longbench_runner.h"
#include "eval/machine_info.h"
#include "eval/sha256.h"
#include "hub/locations.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

/// Demo mode's small budgets for strategies that are named without values: about a tenth to a third of
/// the demo prompts.
constexpr std::array kDemoStrategies = {"sink_recent:64:256", "sink_recent_uniform:64:256:512", "streaming_llm:4:316"};
constexpr std::int64_t kDemoExamples = 2;
constexpr const char* kDemoDataset = "multifieldqa_en";

struct LongBenchFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  bool demo_mode = false;
  std::vector<std::string> datasets;
  std::string data_dir;
  std::string longbench_config;
  std::optional<std::int64_t> num_examples, max_new_tokens, max_length;
  std::string chat = "auto";
  std::string first_token = "evicted";
  SamplingOptions sampling;
  std::string output;
};

void require_at_least_one(const char* flag, const std::optional<std::int64_t>& value) {
  if (value && *value < 1) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--{} is {}: 1 or more is needed", flag, *value));
  }
}

/// Gives the names in a list of strategies that come without values demo mode's small budgets.
std::string with_demo_budgets(const std::string& names) {
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

/// What demo mode sets where the user says nothing.
void apply_demo_mode(LongBenchFlags& flags) {
  if (flags.strategy.strategy.empty() && flags.strategy.strategies.empty()) flags.strategy.strategy = "sink_recent";
  flags.strategy.strategy = with_demo_budgets(flags.strategy.strategy);
  flags.strategy.strategies = with_demo_budgets(flags.strategy.strategies);
  if (!flags.num_examples) flags.num_examples = kDemoExamples;
  if (flags.datasets.empty()) flags.datasets = {kDemoDataset};
}

ChatMode chat_mode(const std::string& text) {
  if (text == "on") return ChatMode::kOn;
  return text == "off" ? ChatMode::kOff : ChatMode::kAuto;
}

fs::path data_dir(const LongBenchFlags& flags) {
  if (!flags.data_dir.empty()) return flags.data_dir;
  if (!flags.demo_mode) spdlog::warn("no --data_dir: the shipped demo set is used, whose scores are not LongBench scores");
  return data_folder() / "demo";
}

std::vector<DatasetJob> read_datasets(const LongBenchFlags& flags, const PromptTemplates& templates, const fs::path& folder) {
  std::vector<std::string> names = flags.datasets;
  if (names.empty()) {
    for (const LongBenchDataset& dataset : longbench_datasets()) names.emplace_back(dataset.name);
  }
  std::vector<DatasetJob> jobs;
  for (const std::string& name : names) {
    const LongBenchDataset& dataset = longbench_dataset(name);
    jobs.push_back({.dataset = &dataset,
                    .examples = read_longbench_file(find_longbench_file(folder, name), flags.num_examples),
                    .max_new_tokens = flags.max_new_tokens.value_or(templates.max_new_tokens(name))});
    if (jobs.back().examples.empty()) {
      throw Error(ErrorCode::kBadData, find_longbench_file(folder, name).string() + " holds no example");
    }
  }
  return jobs;
}

std::map<std::string, std::string> configuration(const LongBenchFlags& flags, const LongBenchJob& job,
                                                 const Policy& policy, const fs::path& folder) {
  const SessionOptions& session = job.settings.session;
  std::map<std::string, std::string> values = {
      {"prefill", "full"},
      {"positions", std::string(to_string(policy.required_positions().value_or(session.positions)))},
      {"decode_slack", std::to_string(session.n_decode_slack)},
      {"first_token", flags.first_token},
      {"flash_attention", flags.engine.flash_attention},
      {"kv_type_k", std::string(to_string(session.type_k))},
      {"kv_type_v", std::string(to_string(session.type_v))},
      {"batch", std::to_string(session.n_batch)},
      {"ubatch", std::to_string(session.n_ubatch)},
      {"threads", session.n_threads == 0 ? "auto" : std::to_string(session.n_threads)},
      {"gpu_layers", std::to_string(job.model->info().n_gpu_layers)},
      {"chat", flags.chat},
      {"max_length", flags.max_length ? std::to_string(*flags.max_length) : "trained context"},
      {"temperature", fmt::format("{}", flags.sampling.temperature)},
      {"seed", std::to_string(flags.sampling.seed)},
      {"data_dir", folder.string()},
      {"demo_mode", flags.demo_mode ? "true" : "false"}};
  for (const DatasetJob& dataset : job.datasets) {
    const std::string name(dataset.dataset->name);
    values["max_new_tokens." + name] = std::to_string(dataset.max_new_tokens);
    values["prompt_template_sha256." + name] = job.templates->template_sha256(name);
  }
  return values;
}

/// The job as the flags ask for it; the model is loaded.
LongBenchJob make_job(const LongBenchFlags& flags, std::vector<StrategySpec> specs, std::vector<DatasetJob> datasets) {
  LongBenchJob job;
  job.datasets = std::move(datasets);
  job.settings.session = flags.engine.session_options();
  job.settings.prompt.chat = chat_mode(flags.chat);
  job.settings.prompt.max_length = flags.max_length;
  job.settings.first_token = flags.first_token == "full" ? FirstToken::kFull : FirstToken::kEvicted;
  job.settings.sampling = flags.sampling;
  job.model = Model::load(flags.engine.model_options());
  for (StrategySpec& spec : specs) {
    if (!flags.engine.kv_memory.empty()) fit_to_memory(spec, flags.engine.kv_memory, *job.model, job.settings.session);
    job.policies.push_back(make_policy(spec));
  }
  return job;
}

Results empty_results(const LongBenchFlags& flags, const LongBenchJob& job, const fs::path& folder) {
  Results results;
  for (const auto& policy : job.policies) {
    RunResult run;
    run.info = describe_run(*job.model, *policy);
    run.info.configuration = configuration(flags, job, *policy, folder);
    results.runs.push_back(std::move(run));
  }
  return results;
}

/// Runs the job, keeps the file up to date after every example, prints the table at the end, whatever
/// the end was.
void run_and_report(const LongBenchFlags& flags, LongBenchJob& job, const fs::path& folder, const fs::path& output) {
  const InterruptGuard interrupt;
  job.settings.session.cancel = interrupt.flag();
  Results results = empty_results(flags, job, folder);
  auto checksum = std::async(std::launch::async, [path = job.model->path()] { return sha256_of_file(path); });
  const auto write = [&](const Results& so_far) {
    if (checksum.valid()) {
      const std::string sha256 = checksum.get();
      for (RunResult& run : results.runs) run.info.model_sha256 = sha256;
    }
    write_results(so_far, output);
  };
  try {
    Progress progress(count_examples(job));
    run_longbench(job, results, [&](const Results& so_far, const std::string& strategy, const std::string& dataset,
                                    const ExampleResult& example) {
      write(so_far);
      progress.step(describe_example(strategy, dataset, example));
    });
  } catch (const Error& error) {
    if (has_examples(results)) {
      write(results);
      fmt::print("{}", summary_table(results));
      spdlog::warn("stopped before the end; what is done is in {}", output.string());
    }
    throw;
  }
  write(results);
  fmt::print("{}results: {}\n", summary_table(results), output.string());
}

void run_longbench_command(LongBenchFlags flags) {
  require_at_least_one("num_examples", flags.num_examples);
  require_at_least_one("max_new_tokens", flags.max_new_tokens);
  require_at_least_one("max_length", flags.max_length);
  if (flags.demo_mode) apply_demo_mode(flags);
  const std::vector<StrategySpec> specs = flags.strategy.specs("sink_recent");
  static_cast<void>(flags.engine.session_options());  // bad values before anything is read
  const fs::path output = flags.output.empty() ? fs::path("results") / ("longbench-" + utc_now() + ".json") : fs::path(flags.output);
  if (!flags.engine.dry_run) require_writable_results(output);

  const PromptTemplates templates(data_folder() / "longbench", flags.longbench_config);
  const fs::path folder = data_dir(flags);
  const Scorer scorer(data_folder() / "jieba");
  LongBenchJob job = make_job(flags, specs, read_datasets(flags, templates, folder));
  job.templates = &templates;
  job.scorer = &scorer;
  if (flags.engine.dry_run) {
    fmt::print("{}", memory_table(job));
    return;
  }
  if (flags.demo_mode) {
    fmt::print(stderr, "demo: {} on {}, the demo set's scores are not LongBench scores\n", job.model->info().name,
               fmt::join(flags.datasets, ", "));
  }
  run_and_report(flags, job, folder, output);
}

}  // namespace

void add_longbench(CLI::App& app) {
  auto flags = std::make_shared<LongBenchFlags>();
  CLI::App* command = app.add_subcommand("longbench", "Answer LongBench questions under a KV budget, and score the answers");
  add_flag(*command, "demo_mode", flags->demo_mode, "Default model, 2 examples, small budget: no other flag needed");
  flags->strategy.add_to(*command, true);
  add_option(*command, "dataset", flags->datasets, "Data sets (without it: all that have a file in --data_dir)")->delimiter(',')->option_text("NAME,...");
  add_option(*command, "data_dir", flags->data_dir, "Folder of LongBench's <dataset>.jsonl files")->option_text("DIR");
  add_option(*command, "longbench_config", flags->longbench_config,
             "Folder with LongBench's own dataset2prompt.json and dataset2maxlen.json")
      ->option_text("DIR");
  add_count(*command, "num_examples", flags->num_examples, "Examples of each data set (all)");
  add_count(*command, "max_new_tokens", flags->max_new_tokens, "Answer tokens (LongBench's number for each data set)");
  add_count(*command, "max_length", flags->max_length,
             "Longest prompt in tokens; longer ones are cut in the middle (trained context less the answer)");
  add_option(*command, "chat", flags->chat, "Chat template: auto follows LongBench's rule of the data set")
      ->check(CLI::IsMember({"auto", "on", "off"}))->capture_default_str();
  add_option(*command, "first_token", flags->first_token, "The cache that the first answer token is drawn from")
      ->check(CLI::IsMember({"evicted", "full"}))->capture_default_str();
  add_option(*command, "temperature", flags->sampling.temperature, "Sampling temperature (0: greedy)")->option_text("T");
  add_count(*command, "seed", flags->sampling.seed, "Seed of the sampler, where the temperature is above 0");
  add_option(*command, "output", flags->output, "Results file (results/longbench-<time>.json)")->option_text("FILE");
  flags->engine.add_to(*command);
  command->callback([flags] { run_longbench_command(*flags); });
}

}  // namespace kvevict::cli
