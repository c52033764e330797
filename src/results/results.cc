#include "results/results.h"

#include <fstream>

#include "base/atomic_file.h"
#include "kvevict/error.h"
#include "results/results_json.h"
#include "results/scorer.h"

namespace kvevict::eval {
namespace {

using Json = nlohmann::ordered_json;

double per_second(std::int64_t n, double seconds) {
  return seconds > 0 ? static_cast<double>(n) / seconds : 0.0;
}

}  // namespace

double ExampleResult::prefill_tokens_per_second() const {
  return per_second(n_prompt_tokens, seconds_prefill);
}
double ExampleResult::decode_tokens_per_second() const {
  return per_second(n_generated_tokens, seconds_decode);
}

double DatasetResult::score() const {
  std::vector<double> scores;
  for (const ExampleResult& example : examples) scores.push_back(example.score);
  return scores.empty() ? 0.0 : dataset_score(scores);
}

std::vector<std::vector<double>> points_by_dataset(const RunResult& run, const RunResult* other) {
  std::vector<std::vector<double>> groups;
  for (std::size_t d = 0; d < run.datasets.size(); ++d) {
    const std::vector<ExampleResult>& examples = run.datasets[d].examples;
    groups.emplace_back();
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const double less = other == nullptr ? 0.0 : other->datasets[d].examples[i].score;
      groups.back().push_back(100 * (examples[i].score - less));
    }
  }
  return groups;
}

std::string example_name(const std::string& dataset, const std::string& id) {
  return id.starts_with(dataset) ? id : dataset + " " + id;
}

std::string to_json(const Results& results) {
  return results_json(results).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Results read_results(const std::filesystem::path& path) {
  const Json json = read_json_file(path, "results file");
  return results_from(JsonReader(json, path.string()));
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
    throw Error(
        ErrorCode::kInvalidArgument,
        path.string() + " exists and is not a results file: it is not overwritten, choose another name",
        "output");
  }
}

}  // namespace kvevict::eval
