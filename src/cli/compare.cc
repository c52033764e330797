// kvevict compare: runs side by side over the same examples.
#include <fmt/format.h>

#include <memory>

#include "cli/comparison_report.h"
#include "cli/flags.h"
#include "cli/subcommands.h"
#include "eval/atomic_file.h"
#include "eval/joined_results.h"
#include "kvevict/error.h"
#include "plot/comparison_picture.h"

namespace kvevict::cli {
namespace {

struct CompareFlags {
  std::vector<std::string> files;
  std::string format = "table";
  std::int64_t flips = 10;
  bool allow_different = false;
  std::string output;
  std::string plot;
};

std::string report(const CompareFlags& flags, const Comparison& comparison) {
  const auto n_flips = static_cast<std::size_t>(flags.flips);
  if (flags.format == "markdown") return comparison_markdown(comparison, n_flips);
  if (flags.format == "csv") return comparison_csv(comparison);
  if (flags.format == "json") return comparison_json(comparison);
  return comparison_table(comparison, n_flips);
}

void run_compare(const CompareFlags& flags) {
  if (flags.flips < 0)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--flips is {}: 0 or more is needed", flags.flips));
  NamedResults read{.names = flags.files, .files = {}};
  for (const std::string& name : flags.files) read.files.push_back(read_results(name));
  const NamedResults results = join_by_dataset(std::move(read));
  const std::vector<NamedRun> runs = name_runs(results.names, results.files);
  const std::string text = report(flags, compare_runs(runs, flags.allow_different));
  if (!flags.plot.empty()) save_comparison_picture(runs, flags.plot);
  if (flags.output.empty()) {
    fmt::print("{}", text);
  } else {
    write_file_atomically(flags.output, text);
  }
}

}  // namespace

void add_compare(CLI::App& app) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* command = app.add_subcommand(
      "compare", "Compare runs over the same examples: the first one with each of the others");
  command->add_option("files", flags->files, "Results files; all of their runs are compared")
      ->required()
      ->option_text("FILE...");
  add_option(*command, "format", flags->format, "table, markdown, csv or json")
      ->check(CLI::IsMember({"table", "markdown", "csv", "json"}))
      ->capture_default_str();
  add_count(*command, "flips", flags->flips, "Most flipped examples to show in tables (10)");
  add_flag(*command, "allow_different", flags->allow_different,
           "Compare runs of different models, data or prompts all the same");
  add_option(*command, "output", flags->output, "File for the comparison (standard output)")
      ->option_text("FILE");
  add_option(*command, "plot", flags->plot,
             "Also draw scores, quality against memory and speeds: *.png, *.svg or *.pdf (comparison.png)")
      ->option_text("[FILE]")
      ->expected(0, 1)
      ->default_str("comparison.png");
  command->callback([flags] { run_compare(*flags); });
}

}  // namespace kvevict::cli
