#include "kvevict/results.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "eval/atomic_file.h"
#include "eval/run_json.h"
#include "kvevict/error.h"
#include "kvevict/scorer.h"

namespace kvevict {
namespace {

using Json = nlohmann::ordered_json;

Json ranges_json(const KeepSet& set) {
  Json ranges = Json::array();
  for (const TokenRange& range : set.ranges()) ranges.push_back({range.begin, range.end});
  return ranges;
}

/// `[[b, e], …]` where the layers share a set, `{"layers": [[[b, e], …], …]}` where they differ.
Json kept_ranges_json(const std::vector<KeepSet>& layers) {
  if (layers.size() == 1) return ranges_json(layers.front());
  Json per_layer = Json::array();
  for (const KeepSet& set : layers) per_layer.push_back(ranges_json(set));
  return {{"layers", per_layer}};
}

Json example_json(const ExampleResult& e) {
  return {{"id", e.id},
          {"length", e.length},
          {"prompt_tokens", e.n_prompt_tokens},
          {"prompt_tokens_before_cut", e.n_prompt_tokens_before_cut},
          {"truncated", e.is_truncated},
          {"chat_template", e.used_chat_template},
          {"kept_tokens", e.n_kept_tokens},
          {"evicted_tokens", e.n_evicted_tokens},
          {"generated_tokens", e.n_generated_tokens},
          {"kv_bytes_peak", e.kv_bytes_peak},
          {"kv_bytes_after_eviction", e.kv_bytes_after_eviction},
          {"seconds",
           {{"prefill", e.seconds_prefill}, {"eviction", e.seconds_eviction}, {"decode", e.seconds_decode}}},
          {"prefill_tokens_per_second", e.prefill_tokens_per_second()},
          {"decode_tokens_per_second", e.decode_tokens_per_second()},
          {"kept_ranges", kept_ranges_json(e.kept_ranges)},
          {"prompt_sha256", e.prompt_sha256},
          {"prediction", e.prediction},
          {"answers", e.answers},
          {"all_classes", e.all_classes.empty() ? Json() : Json(e.all_classes)},
          {"score", e.score}};
}

}  // namespace

Json run_json(const RunInfo& info) {
  return {{"name", info.name},
          {"strategy", {{"name", info.strategy}, {"policy", info.policy}, {"values", info.strategy_values}}},
          {"configuration", info.configuration},
          {"model",
           {{"name", info.model_name},
            {"file", info.model_file},
            {"bytes", info.model_bytes},
            {"sha256", info.model_sha256},
            {"architecture", info.model_architecture},
            {"description", info.model_description}}},
          {"versions", info.versions},
          {"machine", info.machine},
          {"started_utc", info.started_utc},
          {"seconds_total", info.seconds_total},
          {"status", info.status}};
}

namespace {

double per_second(std::int64_t n, double seconds) { return seconds > 0 ? static_cast<double>(n) / seconds : 0.0; }

}  // namespace

double ExampleResult::prefill_tokens_per_second() const { return per_second(n_prompt_tokens, seconds_prefill); }
double ExampleResult::decode_tokens_per_second() const { return per_second(n_generated_tokens, seconds_decode); }

double DatasetResult::score() const {
  std::vector<double> scores;
  for (const ExampleResult& example : examples) scores.push_back(example.score);
  return scores.empty() ? 0.0 : dataset_score(scores);
}

std::string to_json(const Results& results) {
  Json file = {{"schema", kResultsSchema}, {"runs", Json::array()}, {"prompts", results.prompts}};
  for (const RunResult& run : results.runs) {
    Json datasets = Json::array();
    for (const DatasetResult& dataset : run.datasets) {
      Json examples = Json::array();
      for (const ExampleResult& example : dataset.examples) examples.push_back(example_json(example));
      datasets.push_back({{"name", dataset.name},
                          {"score", dataset.examples.empty() ? Json() : Json(dataset.score())},
                          {"examples", std::move(examples)}});
    }
    file["runs"].push_back({{"run", run_json(run.info)}, {"datasets", std::move(datasets)}});
  }
  return file.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_results(const Results& results, const std::filesystem::path& path) {
  write_file_atomically(path, to_json(results));
}

void require_writable_results(const std::filesystem::path& path) {
  require_writable(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  const Json old = Json::parse(file, nullptr, false);
  if (!old.is_object() || !old.contains("runs")) {
    throw Error(ErrorCode::kInvalidArgument,
                path.string() + " exists and is not a results file: it is not overwritten, choose another --output");
  }
}

}  // namespace kvevict
