// Part 5 of kvevict demo: pictures and files.
#include <fmt/format.h>

#include "base/atomic_file.h"
#include "cli/demo_parts.h"
#include "cli/paragraph.h"
#include "cli/picture_source.h"
#include "cli/prompt_tokens.h"
#include "cli/ready_command.h"
#include "kvevict/error.h"
#include "plot/cache_picture.h"
#include "plot/cache_preview.h"
#include "plot/report.h"
#include "results/comparison.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

void write_report(const Demo& demo, const eval::Results& results, const fs::path& path) {
  plot::ReportOptions options{.title = "kvevict demo: " + demo.model->info().name};
  options.token_ends = prompt_token_ends(demo.model->path().string());
  const std::vector<eval::Results> files = {results};
  write_file_atomically(path, plot::report_html(eval::name_runs({"results.json"}, files), {}, options));
}

void print_file(const fs::path& path, const std::string& what) {
  fmt::print("  {:<13} {}\n", path.filename().string(), what);
}

}  // namespace

void show_demo_files(const Demo& demo, const eval::Results& results, const fs::path& folder) {
  const eval::RunResult& run = results.runs.back();
  const eval::DatasetResult& dataset = run.datasets.front();
  const PictureSource source{.file = (folder / "results.json").string(),
                             .run = run.info.name,
                             .dataset = dataset.name,
                             .example = dataset.examples.front().id};
  print_heading(
      demo, "5. What the cache looks like",
      "What it held when the first question of part 1 was answered: from left to right the tokens of the "
      "prompt.");
  eval::write_results(results, source.file);
  fmt::print("{}\nFiles in {}\n\n", plot::cache_preview(read_picture(source, std::nullopt), {}),
             folder.string());
  print_file(source.file, "every question and answer of part 1 (kvevict compare)");
  try {
    const fs::path picture = folder / "cache.png";
    plot::save_cache_picture(read_picture(source, demo.model->info().n_cache_layers()), picture);
    print_file(picture, "the cache as a picture");
    const fs::path report = folder / "report.html";
    write_report(demo, results, report);
    print_file(report, "for a browser: scores, and every prompt with what was kept");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    fmt::print("{}", paragraph(fmt::format("No picture and no report: {}. Then: kvevict report {}",
                                           error.what(), shell_quoted(source.file))));
  }
}

}  // namespace kvevict::cli
