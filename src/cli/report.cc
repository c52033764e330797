// kvevict report: results as one page that needs nothing else.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "base/atomic_file.h"
#include "cli/flags.h"
#include "cli/prompt_tokens.h"
#include "cli/result_files.h"
#include "cli/subcommands.h"
#include "kvevict/error.h"
#include "plot/report.h"

namespace kvevict::cli {
namespace {

struct ReportFlags {
  std::vector<std::string> files;
  std::string output = "report.html";
  std::string title = "KV cache eviction: results";
  std::int64_t prompts = 20;
  std::string model = "default";
};

void run_report(const ReportFlags& flags) {
  if (flags.prompts < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--prompts is {}: 0 or more is needed", flags.prompts));
  }
  const auto [results, needles] = read_result_files(flags.files);
  require_writable(flags.output);
  plot::ReportOptions options{.title = flags.title, .n_prompts = static_cast<std::size_t>(flags.prompts)};
  if (!results.files.empty()) options.token_ends = prompt_token_ends(flags.model);
  write_file_atomically(flags.output,
                        plot::report_html(eval::name_runs(results.names, results.files), needles, options));
  fmt::print("report: {}\n", flags.output);
}

}  // namespace

void add_report(CLI::App& app) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* command = app.add_subcommand("report", "Make one self-contained page of results");
  command->add_option("files", flags->files, "Results files, and maps of kvevict needle")
      ->required()
      ->option_text("FILE...");
  command->add_option("-o,--output", flags->output, "The page (report.html)")->option_text("FILE");
  add_option(*command, "title", flags->title, "The page's title")->option_text("TEXT");
  add_count(*command, "prompts", flags->prompts,
            "Examples of each data set whose prompts go into the page (20)");
  add_option(*command, "model", flags->model,
             "The runs' model, whose tokens tell which parts of a prompt were kept")
      ->option_text("MODEL");
  command->callback([flags] { run_report(*flags); });
}

}  // namespace kvevict::cli
