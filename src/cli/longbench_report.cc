#include "cli/longbench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/machine_info.h"
#include "cli/question_flag.h"
#include "cli/table.h"
#include "experiments/held_back_memory.h"
#include "kvevict/engine_info.h"
#include "kvevict/memory.h"
#include "kvevict/registry.h"
#include "kvevict/version.h"
#include "plot/layout.h"
#include "results/longbench_dataset.h"

namespace kvevict::cli {
namespace {

double mib(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

/// What a row of the table says of a run: means over its examples.
struct Means {
  std::size_t n = 0;
  double score = 0;
  double prompt_tokens = 0, kept_tokens = 0, kv_bytes = 0, seconds_prefill = 0;
  double n_generated = 0, seconds_decode = 0;  ///< Sums.
  bool has_shared_timings = false;
};

/// Over the examples of `datasets`; the score is the mean of theirs.
Means means_of(const std::vector<const eval::DatasetResult*>& datasets) {
  Means means;
  for (const eval::DatasetResult* dataset : datasets) {
    means.score += dataset->score() / static_cast<double>(datasets.size());
    means.n += dataset->examples.size();
  }
  for (const eval::DatasetResult* dataset : datasets) {
    for (const eval::ExampleResult& e : dataset->examples) {
      means.prompt_tokens += static_cast<double>(e.n_prompt_tokens) / static_cast<double>(means.n);
      means.kept_tokens += static_cast<double>(e.n_kept_tokens) / static_cast<double>(means.n);
      means.kv_bytes += static_cast<double>(e.kv_bytes_after_eviction) / static_cast<double>(means.n);
      means.seconds_prefill += e.seconds_prefill / static_cast<double>(means.n);
      means.n_generated += static_cast<double>(e.n_generated_tokens);
      means.seconds_decode += e.seconds_decode;
      means.has_shared_timings = means.has_shared_timings || e.has_shared_timings();
    }
  }
  return means;
}

/// What the runs answered of a data set, or of all: a heading, and a row for each run.
class Block {
 public:
  Block(std::string heading, std::string score_label)
      : heading_(std::move(heading)), score_label_(std::move(score_label)) {}

  void add(const std::string& run, const std::vector<const eval::DatasetResult*>& datasets) {
    if (!datasets.empty()) rows_.emplace_back(run, means_of(datasets));
  }

  [[nodiscard]] bool has_shared_timings() const {
    return std::ranges::any_of(rows_, [](const auto& row) { return row.second.has_shared_timings; });
  }

  [[nodiscard]] std::string text() const {
    if (rows_.empty()) return "";
    const Means& first = rows_.front().second;
    const bool is_even = std::ranges::all_of(rows_, [&](const auto& row) { return row.second.n == first.n; });
    std::vector<std::string> header = {"strategy", score_label_, "kept", "kept %",
                                       "KV MiB",   "prefill s",  "tok/s"};
    if (!is_even) header[3] = "n";  // in the place of the share: 80 columns hold no more
    Table table(header);
    for (const auto& [run, m] : rows_) {
      std::vector<std::string> row = {
          run,
          fmt::format("{:.2f}", m.score),
          fmt::format("{:.0f}", m.kept_tokens),
          is_even ? fmt::format("{:.1f}", m.prompt_tokens > 0 ? 100 * m.kept_tokens / m.prompt_tokens : 0.0)
                  : std::to_string(m.n),
          fmt::format("{:.1f}", m.kv_bytes / (1 << 20)),
          fmt::format("{:.2f}", m.seconds_prefill),
          fmt::format("{:.1f}", m.seconds_decode > 0 ? m.n_generated / m.seconds_decode : 0.0)};
      table.add(std::move(row));
    }
    const std::string n = is_even ? fmt::format("{} example{}, ", first.n, first.n == 1 ? "" : "s") : "";
    return fmt::format("{}: {}prompts of {:.0f} tokens\n{}\n", heading_, n, first.prompt_tokens,
                       table.text());
  }

 private:
  std::string heading_, score_label_;
  std::vector<std::pair<std::string, Means>> rows_;
};

std::string score_label(const std::string& dataset) {
  const auto known = std::ranges::find(eval::longbench_datasets(), dataset, &eval::LongBenchDataset::name);
  return std::string(known == eval::longbench_datasets().end() ? "score" : eval::metric_label(known->metric));
}

/// The data sets of which any run has an example, in the runs' order.
std::vector<std::string> answered_datasets(const eval::Results& results) {
  std::vector<std::string> names;
  for (const eval::RunResult& run : results.runs) {
    for (const eval::DatasetResult& dataset : run.datasets) {
      if (!dataset.examples.empty() && std::ranges::find(names, dataset.name) == names.end())
        names.push_back(dataset.name);
    }
  }
  return names;
}

/// The data sets called `name` (empty: all) of which a run has examples.
std::vector<const eval::DatasetResult*> datasets_of(const eval::RunResult& run, const std::string& name) {
  std::vector<const eval::DatasetResult*> datasets;
  for (const eval::DatasetResult& dataset : run.datasets) {
    if (!dataset.examples.empty() && (name.empty() || dataset.name == name)) datasets.push_back(&dataset);
  }
  return datasets;
}

}  // namespace

eval::RunInfo describe_run(const Model& model, const Policy& policy) {
  const EngineInfo engine = engine_info();
  std::string backends;
  for (const std::string& name : engine.backends) backends += (backends.empty() ? "" : ", ") + name;
  eval::RunInfo info;
  info.name = to_string(policy.spec());
  info.strategy = policy.spec().name;
  info.policy = policy.versioned_name();
  info.strategy_values = result_values(policy.spec());
  info.model_name = model.info().name;
  info.model_file = model.path().filename().string();
  info.model_bytes = model.info().file_bytes;
  info.model_architecture = model.info().architecture;
  info.model_description = model.info().description;
  info.versions = {{"kvevict", KVEVICT_VERSION},
                   {"llama.cpp", engine.llama_version},
                   {"ggml", engine.ggml_version + " " + engine.ggml_commit},
                   {"backends", backends}};
  info.machine = machine_info();
  info.started_utc = utc_now();
  return info;
}

std::string short_run_name(const eval::Results& results, std::size_t run) {
  const eval::RunInfo& info = results.runs[run].info;
  const auto n = std::ranges::count_if(
      results.runs, [&](const eval::RunResult& other) { return other.info.strategy == info.strategy; });
  return n == 1 ? info.strategy : info.name;
}

std::string describe_example(const std::string& run, const std::string& dataset,
                             const eval::ExampleResult& e) {
  constexpr std::size_t kLongestName = 26;  // the hub's ids are hashes of 48 digits
  return fmt::format("{}: {} {:.2f} by {}{}",
                     plot::shortened(eval::example_name(dataset, e.id), kLongestName),
                     eval::metric_label(eval::longbench_dataset(dataset).metric), e.score, run,
                     e.is_truncated ? ", prompt cut" : "");
}

std::string summary_table(const eval::Results& results) {
  std::vector<Block> blocks;
  const std::vector<std::string> datasets = answered_datasets(results);
  std::set<std::string> labels;
  for (const std::string& dataset : datasets) {
    blocks.emplace_back(dataset, score_label(dataset));
    labels.insert(score_label(dataset));
  }
  if (datasets.size() > 1)
    blocks.emplace_back(fmt::format("all {} data sets", datasets.size()),
                        labels.size() == 1 ? *labels.begin() : "score");
  std::string text;
  bool has_shared_timings = false;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string name = i < datasets.size() ? datasets[i] : "";
    for (const eval::RunResult& run : results.runs) blocks[i].add(run.info.name, datasets_of(run, name));
    text += blocks[i].text();
    has_shared_timings = has_shared_timings || blocks[i].has_shared_timings();
  }
  if (std::ranges::any_of(results.runs, [](const eval::RunResult& run) {
        return run.info.name.ends_with(kQuestionAfterSuffix);
      }))
    text += kQuestionAfterLegend;
  if (has_shared_timings)
    text += "Times are those of all strategies together: --share_prefill off times each alone.\n";
  return text;
}

std::string memory_table(const eval::LongBenchJob& job) {
  std::int64_t n_longest = 0;
  std::int64_t n_new = 0;
  std::int64_t n_question = 0;  // that is held back
  for (const eval::DatasetJob& dataset : job.datasets) {
    eval::PromptSettings settings = job.settings.prompt;
    settings.n_new_tokens = dataset.max_new_tokens;
    for (const eval::LongBenchExample& example : dataset.examples) {
      const auto prompt =
          eval::prepare_prompt(*job.model, *job.templates, *dataset.dataset, example, settings);
      const auto n = static_cast<std::int64_t>(prompt.tokens.size());
      if (n + dataset.max_new_tokens > n_longest + n_new) {
        n_longest = n;
        n_question = prompt.n_question_tokens;
        n_new = dataset.max_new_tokens;
      }
    }
  }
  const SessionOptions& session = job.settings.session;
  std::string text = fmt::format(
      "dry run: the longest prompt has {} tokens, its answer up to {}; {} bytes of K and V a token\n",
      n_longest, n_new, job.model->kv_bytes_per_token(session.type_k, session.type_v));
  const RunSize size{n_longest, n_new, job.settings.first_token == eval::FirstToken::kEvicted ? 1 : 0};
  Table table({"strategy", "weights MiB", "KV peak MiB", "KV in budget MiB", "compute buffers MiB"});
  for (const eval::RunStrategy& strategy : job.strategies) {
    SessionOptions options = session;
    options.positions = strategy.positions;
    options.prefill = strategy.prefill;
    options = resolved_options(*job.model, *strategy.policy, options);
    const MemoryNeeded needed =
        n_question == 0 ? memory_needed(*job.model, *strategy.policy, options, size)
                        : eval::memory_needed_held_back(*job.model, *strategy.policy, options,
                                                        n_longest - n_question, n_question + n_new);
    const auto compute = compute_bytes_needed(*job.model, options, needed.n_cells);
    table.add({to_string(strategy.policy->spec()), fmt::format("{:.1f}", mib(job.model->info().weight_bytes)),
               fmt::format("{:.1f}", mib(needed.kv_bytes_peak)),
               fmt::format("{:.1f}", mib(needed.kv_bytes_after)),
               compute ? fmt::format("{:.1f}", mib(*compute)) : "unknown"});
  }
  return text + table.text();
}

std::int64_t count_examples(const eval::LongBenchJob& job) {
  std::int64_t n = 0;
  for (const eval::DatasetJob& dataset : job.datasets)
    n += static_cast<std::int64_t>(dataset.examples.size());
  return n * static_cast<std::int64_t>(job.strategies.size());
}

bool has_examples(const eval::Results& results) {
  return std::any_of(results.runs.begin(), results.runs.end(), [](const eval::RunResult& run) {
    return std::any_of(run.datasets.begin(), run.datasets.end(),
                       [](const eval::DatasetResult& d) { return !d.examples.empty(); });
  });
}

}  // namespace kvevict::cli
