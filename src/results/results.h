#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kvevict/keep_set.h"

namespace kvevict::eval {

/// Format name that every results file carries; documented in docs/file_formats.md.
inline constexpr const char* kResultsSchema = "kvevict-results/1";

/// One answered question. Tokens are counted per layer, bytes are of K and V, times in seconds.
struct ExampleResult {
  std::string id;
  std::int64_t length = 0;  ///< The data set's own length field (words or characters).
  std::int64_t n_prompt_tokens = 0;
  std::int64_t n_prompt_tokens_before_cut = 0;
  bool is_truncated = false;  ///< Cut in the middle to fit the longest prompt allowed.
  bool used_chat_template = false;
  std::int64_t n_kept_tokens = 0;     ///< Of the prompt, after the eviction.
  std::int64_t n_evicted_tokens = 0;  ///< Of the prompt, by the eviction.
  std::int64_t n_generated_tokens = 0;
  std::int64_t kv_bytes_peak = 0;
  std::int64_t kv_bytes_after_eviction = 0;
  double seconds_prefill = 0;
  double seconds_eviction = 0;
  double seconds_decode = 0;
  /// Strategies that this example's prefill and decoding served together: above 1 the seconds are those of
  /// all of them, and say nothing about one.
  int n_sharing = 1;
  /// Prompt tokens that were in a cache already, of an earlier question on the same document:
  /// `seconds_prefill` is without them.
  std::int64_t n_reused_tokens = 0;
  std::vector<KeepSet> kept_ranges;  ///< One for all layers, or one per layer.
  std::string prompt_sha256;
  std::string prediction;
  std::vector<std::string> answers;
  std::vector<std::string> all_classes;
  double score = 0;  ///< 0 … 1.

  [[nodiscard]] double prefill_tokens_per_second() const;
  [[nodiscard]] double decode_tokens_per_second() const;
  /// Whether the seconds are also those of other strategies or leave out reused tokens.
  [[nodiscard]] bool has_shared_timings() const noexcept { return n_sharing > 1 || n_reused_tokens > 0; }
};

struct DatasetResult {
  std::string name;
  std::vector<ExampleResult> examples;

  /// 100 x the mean score, rounded to two places as the official scorer rounds; 0 without examples.
  [[nodiscard]] double score() const;
};

/// What was asked for and what it ran on, as texts and numbers for the file; see docs/file_formats.md.
struct RunInfo {
  std::string name;      ///< The strategy in its grammar: unique within a file.
  std::string strategy;  ///< Registry name.
  std::string policy;    ///< Registry name with the rule's version.
  std::map<std::string, std::int64_t> strategy_values;  ///< sink_tokens, …: what the strategy uses.
  std::map<std::string, std::string> configuration;     ///< Every other setting that can change a result.
  std::string model_name, model_file, model_sha256, model_architecture, model_description;
  std::int64_t model_bytes = 0;
  std::map<std::string, std::string> versions;  ///< kvevict, llama.cpp, ggml, backends.
  std::map<std::string, std::string> machine;   ///< cpu, processors, memory, system.
  std::string started_utc;
  double seconds_total = 0;
  std::string status = "running";  ///< "running", "complete", "interrupted" or "failed".
};

struct RunResult {
  RunInfo info;
  std::vector<DatasetResult> datasets;
};

/// 100 x each example's score, a group for each data set; less the scores of `other`, which must hold the
/// same data sets and examples in the same order.
[[nodiscard]] std::vector<std::vector<double>> points_by_dataset(const RunResult& run,
                                                                 const RunResult* other = nullptr);

/// A data file and the examples chosen from it, before any sharding: what a complete run answers.
struct DataInfo {
  std::string dataset;
  std::string sha256;  ///< Of the file.
  std::vector<std::string> ids;
};

/// A results file: several runs over the same data, and the prompts they share, each prompt once by its hash.
struct Results {
  std::vector<RunResult> runs;
  std::vector<DataInfo> data;
  std::map<std::string, std::string> prompts;  ///< SHA-256 -> text.
};

/// What an example is called beside its data set's other ones: its id, with the data set before it unless the
/// id begins with that ("qasper 5f1c…", but "qasper-demo-1-1").
[[nodiscard]] std::string example_name(const std::string& dataset, const std::string& id);

/// The file's text, indented JSON.
[[nodiscard]] std::string to_json(const Results& results);

/// Reads a results file. Fields that this version does not know are passed over. Errors: kNotFound, kIo,
/// kBadData naming the file and the field that is missing or of another type.
[[nodiscard]] Results read_results(const std::filesystem::path& path);

/// Writes the file so that a reader finds the old one or the new one, never a part: a temporary
/// file beside it, flushed to the disk, then renamed. Makes missing folders.
/// Errors: kIo that names the file; an older file is then as it was.
void write_results(const Results& results, const std::filesystem::path& path);

/// Throws `Error(kIo)` if `path` could not be written, and `Error(kInvalidArgument)` if it
/// is a file that is not a results file: nothing foreign is ever overwritten.
void require_writable_results(const std::filesystem::path& path);

}  // namespace kvevict::eval
