#include "results/results_json.h"

#include <fmt/format.h>

#include "results/longbench_dataset.h"
#include "results/run_json.h"
#include "results/scorer.h"

namespace kvevict::eval {
namespace {

using Json = nlohmann::ordered_json;

Json ranges_json(const KeepSet& set) {
  Json ranges = Json::array();
  for (const TokenRange& range : set.ranges()) ranges.push_back({range.begin, range.end});
  return ranges;
}

/// `[[b, e], …]` if the layers share a set, `{"layers": [[[b, e], …], …]}` if they differ.
Json kept_ranges_json(const std::vector<KeepSet>& layers) {
  if (layers.size() == 1) return ranges_json(layers.front());
  Json per_layer = Json::array();
  for (const KeepSet& set : layers) per_layer.push_back(ranges_json(set));
  return {{"layers", per_layer}};
}

KeepSet ranges_from(const JsonReader& json) {
  KeepSet set;
  json.for_each_item([&](const JsonReader& item) {
    std::vector<std::int64_t> bounds;
    item.for_each_item([&](const JsonReader& bound) { bounds.push_back(bound.integer()); });
    if (bounds.size() != 2 || bounds[0] < set.end() || bounds[1] < bounds[0]) {
      item.refuse("a range [begin, end) is needed, ranges in order");
    }
    set.append(bounds[0], bounds[1]);
  });
  return set;
}

std::vector<KeepSet> kept_ranges_from(const JsonReader& json) {
  if (!json.has("layers")) return {ranges_from(json)};
  std::vector<KeepSet> layers;
  json.member("layers").for_each_item([&](const JsonReader& layer) { layers.push_back(ranges_from(layer)); });
  return layers;
}

RunInfo run_from(const JsonReader& json) {
  RunInfo info;
  info.name = json.member("name").text();
  const JsonReader strategy = json.member("strategy");
  info.strategy = strategy.member("name").text();
  info.policy = strategy.member("policy").text();
  info.strategy_values = strategy.member("values").integer_map();
  info.configuration = json.member("configuration").text_map();
  const JsonReader model = json.member("model");
  info.model_name = model.member("name").text();
  info.model_file = model.member("file").text();
  info.model_bytes = model.member("bytes").integer();
  info.model_sha256 = model.member("sha256").text();
  info.model_architecture = model.member("architecture").text();
  info.model_description = model.member("description").text();
  info.versions = json.member("versions").text_map();
  info.machine = json.member("machine").text_map();
  info.started_utc = json.member("started_utc").text();
  info.seconds_total = json.member("seconds_total").number();
  info.status = json.member("status").text();
  return info;
}

Json number_or_null(const std::optional<double>& number) {
  return number ? Json(*number) : Json();
}

Json dataset_json(const DatasetResult& dataset) {
  Json json = {{"name", dataset.name}, {"score", dataset.examples.empty() ? Json() : Json(dataset.score())}};
  if (is_longbench_e(dataset.name)) {
    std::vector<LengthScore> scores;
    for (const ExampleResult& example : dataset.examples) scores.push_back({example.length, example.score});
    const LengthScores by_length = longbench_e_scores(scores);
    json["score_by_length"] = {{"0-4k", number_or_null(by_length.up_to_4k)},
                               {"4-8k", number_or_null(by_length.up_to_8k)},
                               {"8k+", number_or_null(by_length.longer)}};
  }
  json["examples"] = Json::array();
  for (const ExampleResult& example : dataset.examples) json["examples"].push_back(example_json(example));
  return json;
}

RunResult run_result_from(const JsonReader& json) {
  RunResult run{.info = run_from(json.member("run")), .datasets = {}};
  json.member("datasets").for_each_item([&](const JsonReader& item) {
    DatasetResult dataset{.name = item.member("name").text(), .examples = {}};
    item.member("examples").for_each_item([&](const JsonReader& e) {
      dataset.examples.push_back(example_from(e));
    });
    run.datasets.push_back(std::move(dataset));
  });
  return run;
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
           {{"prefill", e.seconds_prefill},
            {"eviction", e.seconds_eviction},
            {"decode", e.seconds_decode},
            {"shared", e.has_shared_timings()}}},
          {"sharing_strategies", e.n_sharing},
          {"reused_tokens", e.n_reused_tokens},
          {"prefill_tokens_per_second", e.prefill_tokens_per_second()},
          {"decode_tokens_per_second", e.decode_tokens_per_second()},
          {"kept_ranges", kept_ranges_json(e.kept_ranges)},
          {"prompt_sha256", e.prompt_sha256},
          {"prediction", e.prediction},
          {"answers", e.answers},
          {"all_classes", e.all_classes.empty() ? Json() : Json(e.all_classes)},
          {"score", e.score}};
}

ExampleResult example_from(const JsonReader& json) {
  ExampleResult e;
  e.id = json.member("id").text();
  e.length = json.member("length").integer();
  e.n_prompt_tokens = json.member("prompt_tokens").integer();
  e.n_prompt_tokens_before_cut = json.member("prompt_tokens_before_cut").integer();
  e.is_truncated = json.member("truncated").boolean();
  e.used_chat_template = json.member("chat_template").boolean();
  e.n_kept_tokens = json.member("kept_tokens").integer();
  e.n_evicted_tokens = json.member("evicted_tokens").integer();
  e.n_generated_tokens = json.member("generated_tokens").integer();
  e.kv_bytes_peak = json.member("kv_bytes_peak").integer();
  e.kv_bytes_after_eviction = json.member("kv_bytes_after_eviction").integer();
  const JsonReader seconds = json.member("seconds");
  e.seconds_prefill = seconds.member("prefill").number();
  e.seconds_eviction = seconds.member("eviction").number();
  e.seconds_decode = seconds.member("decode").number();
  if (json.has("sharing_strategies"))
    e.n_sharing = static_cast<int>(json.member("sharing_strategies").integer());
  if (json.has("reused_tokens")) e.n_reused_tokens = json.member("reused_tokens").integer();
  e.kept_ranges = kept_ranges_from(json.member("kept_ranges"));
  e.prompt_sha256 = json.member("prompt_sha256").text();
  e.prediction = json.member("prediction").text();
  e.answers = json.member("answers").texts();
  if (json.has("all_classes")) e.all_classes = json.member("all_classes").texts();
  e.score = json.member("score").number();
  if (!(e.score >= 0 && e.score <= 1)) {
    json.member("score").refuse(fmt::format("{:g} found, a score from 0 to 1 is needed", e.score));
  }
  return e;
}

Json results_json(const Results& results) {
  Json file = {{"schema", kResultsSchema},
               {"runs", Json::array()},
               {"data", Json::array()},
               {"prompts", results.prompts}};
  for (const RunResult& run : results.runs) {
    Json datasets = Json::array();
    for (const DatasetResult& dataset : run.datasets) datasets.push_back(dataset_json(dataset));
    file["runs"].push_back({{"run", run_json(run.info)}, {"datasets", std::move(datasets)}});
  }
  for (const DataInfo& data : results.data) {
    file["data"].push_back({{"dataset", data.dataset}, {"sha256", data.sha256}, {"ids", data.ids}});
  }
  return file;
}

Results results_from(const JsonReader& json) {
  const std::string schema = json.member("schema").text();
  if (schema != kResultsSchema)
    json.refuse("the schema is \"" + schema + "\", \"" + kResultsSchema + "\" is needed");
  Results results;
  json.member("runs").for_each_item(
      [&](const JsonReader& run) { results.runs.push_back(run_result_from(run)); });
  if (json.has("data")) {
    json.member("data").for_each_item([&](const JsonReader& item) {
      results.data.push_back(
          {item.member("dataset").text(), item.member("sha256").text(), item.member("ids").texts()});
    });
  }
  results.prompts = json.member("prompts").text_map();
  return results;
}

}  // namespace kvevict::eval
