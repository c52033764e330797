#include "cli/longbench_job.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cli/longbench_report.h"
#include "cli/model_run.h"
#include "cli/question_flag.h"
#include "experiments/example_selection.h"
#include "hub/locations.h"
#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

eval::ChatMode chat_mode(const std::string& text) {
  if (text == "on") return eval::ChatMode::kOn;
  return text == "off" ? eval::ChatMode::kOff : eval::ChatMode::kAuto;
}

fs::path data_dir(const LongBenchFlags& flags) {
  if (!flags.data_dir.empty()) return flags.data_dir;
  if (!flags.demo_mode)
    spdlog::warn(
        "no --data_dir, and kvevict fetch longbench was not run: the shipped demo set is used, whose scores "
        "are not LongBench scores");
  return data_folder() / "demo";
}

/// The data sets that were named, or all known ones that have a file in the folder.
std::vector<std::string> dataset_names(const LongBenchFlags& flags, const fs::path& folder) {
  std::vector<std::string> names = flags.datasets;
  std::error_code ignored;
  for (const eval::LongBenchDataset& dataset : eval::longbench_datasets()) {
    const std::string name(dataset.name);
    if (flags.datasets.empty() && fs::exists(folder / (name + ".jsonl"), ignored)) names.push_back(name);
  }
  if (names.empty()) names.push_back("qasper");  // whose absence is then said in full
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw Error(ErrorCode::kInvalidArgument, "the data set " + names[i] + " is given twice");
    }
  }
  return names;
}

/// With --ids the whole file is read, so that --num_examples counts what was chosen.
std::vector<eval::LongBenchExample> read_examples(const LongBenchFlags& flags, const fs::path& file,
                                                  std::vector<std::string>& missing) {
  auto examples = eval::read_longbench_file(file, flags.ids.empty() ? flags.num_examples : std::nullopt);
  if (examples.empty()) throw Error(ErrorCode::kBadData, file.string() + " holds no example");
  eval::keep_ids(examples, flags.ids, missing);
  if (flags.num_examples && static_cast<std::int64_t>(examples.size()) > *flags.num_examples) {
    examples.resize(static_cast<std::size_t>(*flags.num_examples));
  }
  return examples;
}

std::map<std::string, std::string> configuration(const LongBenchFlags& flags, const eval::LongBenchJob& job,
                                                 const eval::RunStrategy& strategy, const fs::path& folder) {
  const SessionOptions& session = job.settings.session;
  std::map<std::string, std::string> values = {
      {"prefill", std::string(to_string(strategy.prefill))},
      {"share_prefill", flags.share_prefill},
      {"positions", std::string(to_string(strategy.positions))},
      {"decode_slack", std::to_string(session.n_decode_slack)},
      {"first_token", flags.first_token},
      {"question", flags.question},
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
  if (strategy.prefill == PrefillMode::kBounded) values["chunk"] = std::to_string(session.n_chunk);
  if (!flags.shard.empty()) values["shard"] = flags.shard;
  for (const eval::DatasetJob& dataset : job.datasets) {
    const std::string name = dataset.name;
    values["max_new_tokens." + name] = std::to_string(dataset.max_new_tokens);
    values["prompt_template_sha256." + name] =
        job.templates->template_sha256(std::string(dataset.dataset->name));
  }
  return values;
}

}  // namespace

ChosenData choose_data(const LongBenchFlags& flags, const eval::PromptTemplates& templates) {
  ChosenData data{.folder = data_dir(flags), .jobs = {}, .info = {}};
  const std::optional<eval::Shard> shard =
      flags.shard.empty() ? std::nullopt : std::optional(eval::parse_shard(flags.shard));
  std::vector<std::string> missing = flags.ids;
  std::int64_t n_documents = 0;
  for (const std::string& name : dataset_names(flags, data.folder)) {
    const eval::LongBenchDataset& dataset = eval::longbench_dataset(name);
    const fs::path file = eval::find_longbench_file(data.folder, name);
    eval::DatasetJob job{
        .name = name,
        .dataset = &dataset,
        .examples = read_examples(flags, file, missing),
        .max_new_tokens = flags.max_new_tokens.value_or(templates.max_new_tokens(std::string(dataset.name)))};
    eval::DataInfo info{.dataset = name, .sha256 = sha256_of_file(file), .ids = {}};
    for (const eval::LongBenchExample& example : job.examples) info.ids.push_back(example.id);
    if (shard) eval::keep_shard(job.examples, *shard, n_documents);
    data.info.push_back(std::move(info));
    data.jobs.push_back(std::move(job));
  }
  if (!missing.empty()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--ids names {}, which no example of {} has",
                                                         fmt::join(missing, ", "), data.folder.string()));
  }
  return data;
}

eval::RunStrategy make_strategy(const EngineFlags& engine, const ChosenStrategy& strategy,
                                const Model& model) {
  EngineFlags own = engine;
  if (strategy.prefill) own.prefill = to_string(*strategy.prefill);
  eval::RunStrategy run;
  run.policy = make_run_policy(own, strategy.spec, model);
  run.prefill = own.is_bounded() ? PrefillMode::kBounded : PrefillMode::kFull;
  run.positions = *resolved_options(model, *run.policy, own.session_options()).positions;
  return run;
}

eval::LongBenchJob make_job(const LongBenchFlags& flags, std::vector<ChosenStrategy> strategies,
                            std::vector<eval::DatasetJob> datasets) {
  eval::LongBenchJob job;
  job.datasets = std::move(datasets);
  job.settings.session = flags.engine.session_options();
  job.settings.prompt.chat = chat_mode(flags.chat);
  job.settings.prompt.max_length = flags.max_length;
  job.settings.prompt.question = question_order(flags.question);
  job.settings.first_token =
      flags.first_token == "full" ? eval::FirstToken::kFull : eval::FirstToken::kEvicted;
  job.settings.sampling = flags.sampling;
  job.shares_prefill = flags.share_prefill == "on";
  job.model = flags.engine.load_model();
  if (!flags.strategy.is_named() && !strategies.empty() && !job.model->info().reason_not_evictable.empty())
    strategies = {{specs_for(*job.model, {}, flags.strategy).front(), strategies.front().prefill}};
  for (const ChosenStrategy& strategy : strategies) {
    job.strategies.push_back(make_strategy(flags.engine, strategy, *job.model));
  }
  return job;
}

namespace {

/// Whether another strategy of the job differs from this one in its prefill alone.
bool has_twin(const eval::LongBenchJob& job, const eval::RunStrategy& strategy) {
  return std::count_if(job.strategies.begin(), job.strategies.end(), [&](const eval::RunStrategy& s) {
           return s.policy->spec() == strategy.policy->spec();
         }) > 1;
}

}  // namespace

eval::Results empty_results(const LongBenchFlags& flags, const eval::LongBenchJob& job,
                            const ChosenData& data) {
  eval::Results results;
  results.data = data.info;
  for (const eval::RunStrategy& strategy : job.strategies) {
    eval::RunResult run;
    run.info = describe_run(*job.model, *strategy.policy);
    if (has_twin(job, strategy)) run.info.name += ":prefill=" + std::string(to_string(strategy.prefill));
    if (job.settings.prompt.question == eval::QuestionOrder::kAfter) run.info.name += kQuestionAfterSuffix;
    run.info.configuration = configuration(flags, job, strategy, data.folder);
    results.runs.push_back(std::move(run));
  }
  return results;
}

}  // namespace kvevict::cli
