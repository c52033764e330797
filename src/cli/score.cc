// kvevict score: the official LongBench score of each prediction in a JSONL file.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/subcommands.h"
#include "eval/atomic_file.h"
#include "eval/jsonl.h"
#include "hub/locations.h"
#include "kvevict/error.h"
#include "kvevict/scorer.h"

namespace kvevict::cli {
namespace {

struct ScoreFlags {
  std::string input;
  std::string output;
};

void run_score(const ScoreFlags& flags) {
  require_writable(flags.output);
  const Scorer scorer(data_folder() / "jieba");
  std::string lines;
  std::int64_t n = 0;
  for_each_jsonl_row(flags.input, [&](const JsonlRow& row) {
    const ScoreCase score_case{row.text("dataset"), row.text("prediction"), row.texts("answers", true),
                               row.texts("all_classes", false)};
    try {
      lines += nlohmann::json{{"score", scorer.score(score_case)}}.dump() + "\n";
    } catch (const Error& error) {
      throw Error(error.code(), row.place() + ": " + error.what());
    }
    ++n;
    return true;
  });
  write_file_atomically(flags.output, lines);
  fmt::print(stderr, "{} scores written to {}\n", n, flags.output);
}

}  // namespace

void add_score(CLI::App& app) {
  auto flags = std::make_shared<ScoreFlags>();
  CLI::App* command = app.add_subcommand("score", "Score predictions as the official LongBench scorer does");
  add_option(*command, "input", flags->input, "JSONL: {\"dataset\", \"prediction\", \"answers\", \"all_classes\"}")
      ->option_text("FILE")
      ->required();
  add_option(*command, "output", flags->output, "JSONL: {\"score\"} in the same order, 0 to 1")->option_text("FILE")->required();
  command->callback([flags] { run_score(*flags); });
}

}  // namespace kvevict::cli
