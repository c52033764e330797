// kvevict merge: the shards of a run as one results file.
#include "results/merge.h"

#include <fmt/format.h>

#include <memory>

#include "cli/flags.h"
#include "cli/longbench_report.h"
#include "cli/subcommands.h"

namespace kvevict::cli {
namespace {

struct MergeFlags {
  std::vector<std::string> files;
  std::string output;
  bool allow_gaps = false;
};

void run_merge(const MergeFlags& flags) {
  eval::require_writable_results(flags.output);
  std::vector<eval::Results> files;
  for (const std::string& name : flags.files) files.push_back(eval::read_results(name));
  const eval::Results merged = eval::merge_results(flags.files, files, flags.allow_gaps);
  eval::write_results(merged, flags.output);
  fmt::print("{}\nresults: {}\n", summary_table(merged), flags.output);
}

}  // namespace

void add_merge(CLI::App& app) {
  auto flags = std::make_shared<MergeFlags>();
  CLI::App* command =
      app.add_subcommand("merge", "Merge the results of shards (kvevict longbench --shard) into one file");
  command->add_option("files", flags->files, "Results of the shards, in any order")
      ->required()
      ->option_text("FILE...");
  add_option(*command, "output", flags->output, "Results file")->option_text("FILE")->required();
  add_flag(*command, "allow_gaps", flags->allow_gaps, "Merge although examples are missing");
  command->callback([flags] { run_merge(*flags); });
}

}  // namespace kvevict::cli
