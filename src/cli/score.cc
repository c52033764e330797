// kvevict score: the official LongBench score of each prediction in a JSONL file.
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.h"
#include "cli/flags.h"
#include "cli/subcommands.h"
#include "cli/table.h"
#include "hub/locations.h"
#include "kvevict/error.h"
#include "results/longbench_dataset.h"
#include "results/scorer.h"
#include "text/jsonl.h"

namespace kvevict::cli {
namespace {

struct ScoreFlags {
  std::string input;
  std::string output;
};

/// Scores of a data set, and its examples' lengths for LongBench-E.
struct DatasetScores {
  std::vector<double> scores;
  std::vector<eval::LengthScore> by_length;
};

std::string bucket_text(const std::optional<double>& score) {
  return score ? fmt::format("{:.2f}", *score) : "-";
}

/// A row for each data set as LongBench's eval.py aggregates; for LongBench-E by length.
std::string aggregate_table(const std::map<std::string, DatasetScores>& datasets) {
  Table table({"data set", "n", "score", "0-4k", "4-8k", "8k+"});
  for (const auto& [name, d] : datasets) {
    const eval::LengthScores e =
        eval::is_longbench_e(name) ? eval::longbench_e_scores(d.by_length) : eval::LengthScores{};
    table.add({name, std::to_string(d.scores.size()), fmt::format("{:.2f}", eval::dataset_score(d.scores)),
               bucket_text(e.up_to_4k), bucket_text(e.up_to_8k), bucket_text(e.longer)});
  }
  return table.text();
}

/// A row's data set: its own word, or as LongBench's pred.py names its files: "qasper.jsonl",
/// "qasper_e.jsonl".
std::string dataset_of(const JsonlRow& row, const std::string& input) {
  const std::string named = row.text_or_empty("dataset");
  return named.empty() ? std::filesystem::path(input).stem().string() : named;
}

double score_row(const eval::Scorer& scorer, const JsonlRow& row, const std::string& dataset) {
  try {
    const bool needs_classes = eval::longbench_dataset(dataset).metric == eval::Metric::kClassification;
    return scorer.score({dataset, row.text(row.has("prediction") ? "prediction" : "pred"),
                         row.texts("answers", true), row.texts("all_classes", needs_classes)});
  } catch (const Error& error) {
    const std::string what = error.what();
    throw Error(error.code(), what.rfind(row.place(), 0) == 0 ? what : row.place() + ": " + what);
  }
}

void run_score(const ScoreFlags& flags) {
  require_writable(flags.output);
  const eval::Scorer scorer(data_folder() / "jieba");
  std::string lines;
  std::map<std::string, DatasetScores> datasets;
  std::int64_t n = 0;
  for_each_jsonl_row(flags.input, [&](const JsonlRow& row) {
    const std::string dataset = dataset_of(row, flags.input);
    const double score = score_row(scorer, row, dataset);
    lines += nlohmann::json{{"score", score}}.dump() + "\n";
    datasets[dataset].scores.push_back(score);
    datasets[dataset].by_length.push_back({row.integer_or_zero("length"), score});
    ++n;
    return true;
  });
  write_file_atomically(flags.output, lines);
  fmt::print("{}", aggregate_table(datasets));
  fmt::print(stderr, "{} scores written to {}\n", n, flags.output);
}

}  // namespace

void add_score(CLI::App& app) {
  auto flags = std::make_shared<ScoreFlags>();
  CLI::App* command = app.add_subcommand("score", "Score predictions as the official LongBench scorer does");
  add_option(
      *command, "input", flags->input,
      "JSONL: {\"dataset\", \"prediction\", \"answers\", \"all_classes\"}, or a file of LongBench's pred.py "
      "({\"pred\", ...}, the data set by the file's name)")
      ->option_text("FILE")
      ->required();
  add_option(*command, "output", flags->output, "JSONL: {\"score\"} in the same order, 0 to 1")
      ->option_text("FILE")
      ->required();
  command->callback([flags] { run_score(*flags); });
}

}  // namespace kvevict::cli
