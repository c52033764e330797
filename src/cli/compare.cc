// kvevict compare: runs side by side over the same examples.
#include <fmt/format.h>

#include <memory>

#include "base/atomic_file.h"
#include "cli/comparison_report.h"
#include "cli/flags.h"
#include "cli/result_files.h"
#include "cli/subcommands.h"
#include "cli/table.h"
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

std::string report(const CompareFlags& flags, const eval::Comparison& comparison) {
  const auto n_flips = static_cast<std::size_t>(flags.flips);
  if (flags.format == "markdown") return comparison_markdown(comparison, n_flips);
  if (flags.format == "csv") return comparison_csv(comparison);
  if (flags.format == "json") return comparison_json(comparison);
  return comparison_table(comparison, n_flips);
}

void put(const CompareFlags& flags, const std::string& text) {
  if (flags.output.empty()) {
    fmt::print("{}", text);
  } else {
    write_file_atomically(flags.output, text);
  }
}

/// The share of the passkeys that each strategy found, over all lengths and depths.
std::string found_table(const plot::NeedlePicture& map) {
  Table table({"strategy", "passkeys found"});
  for (const plot::NeedlePanel& panel : map.panels) {
    double sum = 0;
    int n = 0;
    for (const auto& depths : panel.found) {
      for (const double found : depths) {
        if (found < 0) continue;
        sum += found;
        ++n;
      }
    }
    table.add({panel.name, n > 0 ? fmt::format("{:.2f}", sum / n) : "-"});
  }
  return table.text();
}

void compare_needles(const CompareFlags& flags, const ResultFiles& files) {
  if (files.needles.size() > 1 || !files.results.files.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a map of kvevict needle is compared by itself: it holds all of its strategies");
  }
  if (flags.format != "table") {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--format {} is for results: a map of kvevict needle is JSON itself", flags.format));
  }
  if (!flags.plot.empty()) plot::save_needle_picture(files.needles.front(), flags.plot);
  put(flags, found_table(files.needles.front()));
}

void run_compare(const CompareFlags& flags) {
  if (flags.flips < 0)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--flips is {}: 0 or more is needed", flags.flips));
  const ResultFiles files = read_result_files(flags.files);
  if (!files.needles.empty()) return compare_needles(flags, files);
  const std::vector<eval::NamedRun> runs = eval::name_runs(files.results.names, files.results.files);
  const std::string text = report(flags, eval::compare_runs(runs, flags.allow_different));
  if (!flags.plot.empty()) plot::save_comparison_picture(runs, flags.plot);
  put(flags, text);
}

}  // namespace

void add_compare(CLI::App& app) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* command = app.add_subcommand(
      "compare", "Compare runs over the same examples: the first one with each of the others");
  command
      ->add_option("files", flags->files,
                   "Results files, all of whose runs are compared; or a map of kvevict needle")
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
             "Also draw scores, quality against memory and speeds, or the needle map: *.png, *.svg or *.pdf "
             "(comparison.png)")
      ->option_text("[FILE]")
      ->expected(0, 1)
      ->default_str("comparison.png");
  command->callback([flags] { run_compare(*flags); });
}

}  // namespace kvevict::cli
