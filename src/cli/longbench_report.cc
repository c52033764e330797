#include "cli/longbench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/machine_info.h"
#include "cli/table.h"
#include "kvevict/engine_info.h"
#include "kvevict/memory.h"
#include "kvevict/registry.h"
#include "kvevict/version.h"
#include "results/longbench_dataset.h"

namespace kvevict::cli {
namespace {

double mib(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::map<std::string, std::int64_t> values_of(const StrategySpec& spec) {
  std::map<std::string, std::int64_t> values;
  for (const StrategyKey& key : strategy_keys()) {
    if (!policy_info(spec.name).uses(key.name)) continue;
    values[key.name == "budget" ? "middle_budget_tokens" : key.long_name] = key.value_of(spec);
  }
  return values;
}

/// Mean of a member over the examples.
template <typename Get>
double mean(const eval::DatasetResult& dataset, Get get) {
  double sum = 0;
  for (const eval::ExampleResult& example : dataset.examples) sum += static_cast<double>(get(example));
  return sum / static_cast<double>(dataset.examples.size());
}

bool has_shared_timings(const eval::DatasetResult& dataset) {
  return std::any_of(dataset.examples.begin(), dataset.examples.end(),
                     [](const auto& e) { return e.has_shared_timings(); });
}

std::vector<std::string> summary_row(const std::string& strategy, const eval::DatasetResult& d) {
  const double prompt = mean(d, [](const auto& e) { return e.n_prompt_tokens; });
  const double kept = mean(d, [](const auto& e) { return e.n_kept_tokens; });
  double n_generated = 0;
  double seconds_decode = 0;
  for (const eval::ExampleResult& example : d.examples) {
    n_generated += static_cast<double>(example.n_generated_tokens);
    seconds_decode += example.seconds_decode;
  }
  const char* const shared = has_shared_timings(d) ? " shared" : "";
  return {strategy,
          d.name,
          std::to_string(d.examples.size()),
          fmt::format("{:.2f}", d.score()),
          fmt::format("{:.0f}", prompt),
          fmt::format("{:.0f}", kept),
          fmt::format("{:.1f}", mib(static_cast<std::int64_t>(
                                    mean(d, [](const auto& e) { return e.kv_bytes_after_eviction; })))),
          fmt::format("{:.1f}", prompt > 0 ? 100 * (1 - kept / prompt) : 0.0),
          fmt::format("{:.2f}{}", mean(d, [](const auto& e) { return e.seconds_prefill; }), shared),
          fmt::format("{:.1f}{}", seconds_decode > 0 ? n_generated / seconds_decode : 0.0, shared)};
}

/// The metric's name if all data sets of the table are LongBench's and have the same one.
std::string score_header(const eval::Results& results) {
  std::set<std::string_view> labels;
  for (const eval::RunResult& run : results.runs) {
    for (const eval::DatasetResult& dataset : run.datasets) {
      const auto known =
          std::ranges::find(eval::longbench_datasets(), dataset.name, &eval::LongBenchDataset::name);
      labels.insert(known == eval::longbench_datasets().end() ? "score" : eval::metric_label(known->metric));
    }
  }
  return labels.size() == 1 ? std::string(*labels.begin()) : "score";
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
  info.strategy_values = values_of(policy.spec());
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

std::string describe_example(const std::string& strategy, const std::string& dataset,
                             const eval::ExampleResult& e) {
  return fmt::format("{} {} {}: {} {:.2f}, kept {} of {} tokens{}, prefill {:.1f} s, decode {:.1f} tok/s{}",
                     strategy, dataset, e.id, eval::metric_label(eval::longbench_dataset(dataset).metric),
                     e.score, e.n_kept_tokens, e.n_prompt_tokens,
                     e.is_truncated ? " (prompt cut in the middle)" : "", e.seconds_prefill,
                     e.decode_tokens_per_second(), e.has_shared_timings() ? " (shared)" : "");
}

std::string summary_table(const eval::Results& results) {
  Table table({"strategy", "data set", "n", score_header(results), "prompt tokens", "kept", "KV MiB",
               "saved %", "prefill s", "decode tok/s"});
  for (const eval::RunResult& run : results.runs) {
    for (const eval::DatasetResult& dataset : run.datasets) {
      if (!dataset.examples.empty()) table.add(summary_row(run.info.name, dataset));
    }
  }
  return table.text();
}

std::string memory_table(const eval::LongBenchJob& job) {
  std::int64_t n_longest = 0;
  std::int64_t n_new = 0;
  for (const eval::DatasetJob& dataset : job.datasets) {
    eval::PromptSettings settings = job.settings.prompt;
    settings.n_new_tokens = dataset.max_new_tokens;
    for (const eval::LongBenchExample& example : dataset.examples) {
      const auto prompt =
          eval::prepare_prompt(*job.model, *job.templates, *dataset.dataset, example, settings);
      const auto n = static_cast<std::int64_t>(prompt.tokens.size());
      if (n + dataset.max_new_tokens > n_longest + n_new) {
        n_longest = n;
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
    const MemoryNeeded needed = memory_needed(*job.model, *strategy.policy, options, size);
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
