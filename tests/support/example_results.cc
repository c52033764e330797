#include "support/example_results.h"

namespace kvevict::eval {

ExampleResult example_result(const std::string& id, double score) {
  ExampleResult example;
  example.id = id;
  example.length = 1234;
  example.n_prompt_tokens = 1000;
  example.n_prompt_tokens_before_cut = 1100;
  example.is_truncated = true;
  example.n_kept_tokens = 300;
  example.n_evicted_tokens = 700;
  example.n_generated_tokens = 7;
  example.kv_bytes_peak = 3000;
  example.kv_bytes_after_eviction = 900;
  example.seconds_prefill = 0.125;
  example.seconds_decode = 0.1;
  example.kept_ranges = {KeepSet::from_ranges({{0, 100}, {800, 1000}})};
  example.prompt_sha256 = "sha of " + id;
  example.prediction = "answer to " + id;
  example.answers = {"right", "true"};
  example.score = score;
  return example;
}

Results example_results(const std::vector<std::string>& strategies, const std::vector<double>& scores) {
  Results results;
  DataInfo data{.dataset = "qasper", .sha256 = "1234", .ids = {}};
  DatasetResult dataset{.name = "qasper", .examples = {}};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    data.ids.emplace_back(1, static_cast<char>('a' + i));
    dataset.examples.push_back(example_result(data.ids.back(), scores[i]));
    results.prompts[dataset.examples.back().prompt_sha256] = "prompt " + data.ids.back();
  }
  for (const std::string& strategy : strategies) {
    RunResult run;
    run.info.name = strategy;
    run.info.strategy = strategy.substr(0, strategy.find(':'));
    run.info.policy = run.info.strategy + "/1";
    run.info.strategy_values = {{"sink_tokens", 4}};
    run.info.configuration = {
        {"chat", "auto"}, {"data_dir", "/data"}, {"prompt_template_sha256.qasper", "99"}};
    run.info.model_name = "model";
    run.info.model_sha256 = "abcd";
    run.info.versions = {{"kvevict", "0.1.0"}};
    run.info.machine = {{"cpu", "a CPU"}};
    run.info.started_utc = "2026-01-31T12:34:56Z";
    run.info.seconds_total = 1.5;
    run.info.status = "complete";
    run.datasets = {dataset};
    results.runs.push_back(std::move(run));
  }
  results.data = {std::move(data)};
  return results;
}

}  // namespace kvevict::eval
