#include "cli/longbench_run.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <future>

#include "base/folder.h"
#include "base/machine_info.h"
#include "cli/interrupt.h"
#include "cli/longbench_report.h"
#include "cli/progress.h"
#include "kvevict/error.h"
#include "results/results_identity.h"
#include "results/results_journal.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kResultsFolder = "results";

/// Where the results go, and what was there before.
struct Output {
  fs::path path;
  std::unique_ptr<eval::ResultsJournal> journal;
  std::optional<eval::Results> before;  ///< Of an earlier run of the same configuration.
  bool is_in_journal = false;           ///< Whether `before` is (also) in the journal.
};

/// An unfinished run of the same configuration among the journals in results/.
std::optional<Output> find_unfinished(const eval::Results& wanted) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : entries_of(kResultsFolder)) {
    if (entry.path().extension() != ".journal") continue;
    try {
      auto journal = std::make_unique<eval::ResultsJournal>(entry.path());
      std::optional<eval::Results> before = journal->read();
      if (!before || eval::first_difference(*before, wanted)) continue;
      return Output{entry.path().parent_path() / entry.path().stem(), std::move(journal), std::move(before),
                    true};
    } catch (const Error&) {  // another run's, or not readable: not ours to judge
      continue;
    }
  }
  return std::nullopt;
}

[[noreturn]] void refuse_output(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} holds results of another configuration ({}): choose another "
                          "--output, or --restart to replace it",
                          path.string(), why));
}

Output open_output(const LongBenchFlags& flags, const eval::Results& wanted) {
  if (flags.output.empty() && !flags.restart) {
    if (auto unfinished = find_unfinished(wanted)) return std::move(*unfinished);
  }
  Output output;
  output.path = flags.output.empty() ? fs::path(kResultsFolder) / ("longbench-" + utc_now() + ".json")
                                     : fs::path(flags.output);
  eval::require_writable_results(output.path);
  output.journal = std::make_unique<eval::ResultsJournal>(eval::ResultsJournal::path_for(output.path));
  if (flags.restart) {
    output.journal->clear();
    return output;
  }
  output.before = output.journal->read();
  output.is_in_journal = output.before.has_value();
  std::error_code ignored;
  if (!output.before && fs::exists(output.path, ignored)) output.before = eval::read_results(output.path);
  if (!output.before) return output;
  if (const auto difference = eval::first_difference(*output.before, wanted))
    refuse_output(output.path, *difference);
  return output;
}

std::int64_t count_done(const eval::Results& results) {
  std::int64_t n = 0;
  for (const eval::RunResult& run : results.runs) {
    for (const eval::DatasetResult& dataset : run.datasets)
      n += static_cast<std::int64_t>(dataset.examples.size());
  }
  return n;
}

/// What was done before becomes part of `results`, and stands in the journal.
void take_over(Output& output, eval::Results& results) {
  for (std::size_t i = 0; i < results.runs.size(); ++i) {
    results.runs[i].datasets = std::move(output.before->runs[i].datasets);
    results.runs[i].info.seconds_total = output.before->runs[i].info.seconds_total;
    results.runs[i].info.started_utc = output.before->runs[i].info.started_utc;
  }
  results.prompts = std::move(output.before->prompts);
}

void set_checksum(eval::Results& results, const std::string& sha256) {
  for (eval::RunResult& run : results.runs) run.info.model_sha256 = sha256;
}

/// The model's SHA-256, computed while the first example is answered.
class Checksum {
 public:
  explicit Checksum(std::shared_ptr<const Model> model)
      : future_(
            std::async(std::launch::async, [model = std::move(model)] { return model->sha256(); }).share()) {}
  [[nodiscard]] const std::string& get() const { return future_.get(); }

 private:
  std::shared_future<std::string> future_;
};

void run_with_journal(const eval::LongBenchJob& job, eval::Results& results, Output& output,
                      const Checksum& checksum) {
  eval::Results header = results;  // what the journal's first line says: all but what is about to be done
  bool is_started = output.is_in_journal;
  Progress progress(count_examples(job), count_done(results));
  eval::run_longbench(job, results,
                      [&](std::size_t run, const std::string& dataset, const eval::ExampleResult& example) {
                        if (!is_started) {
                          set_checksum(header, checksum.get());
                          output.journal->start(header);
                          is_started = true;
                        }
                        const eval::RunInfo& info = results.runs[run].info;
                        output.journal->append(info.name, dataset, example,
                                               results.prompts[example.prompt_sha256], info.seconds_total);
                        progress.step(describe_example(short_run_name(results, run), dataset, example));
                      });
}

bool has_unfinished(const fs::path& output) {
  std::error_code ignored;
  if (!output.empty())
    return fs::exists(output, ignored) || fs::exists(eval::ResultsJournal::path_for(output), ignored);
  for (const fs::directory_entry& entry : entries_of(kResultsFolder)) {
    if (entry.path().extension() == ".journal") return true;
  }
  return false;
}

}  // namespace

void check_output(const LongBenchFlags& flags) {
  eval::require_writable_results(flags.output.empty() ? fs::path(kResultsFolder) / "longbench.json"
                                                      : fs::path(flags.output));
}

void run_and_report(const LongBenchFlags& flags, eval::LongBenchJob& job, const ChosenData& data) {
  const InterruptGuard interrupt;
  job.settings.session.cancel = interrupt.flag();
  const Checksum checksum(job.model);
  eval::Results results = empty_results(flags, job, data);
  if (!flags.restart && has_unfinished(flags.output)) set_checksum(results, checksum.get());
  Output output = open_output(flags, results);
  if (output.before) {
    take_over(output, results);
    const std::int64_t n_done = count_done(results);
    if (n_done == count_examples(job) && !output.is_in_journal) {
      fmt::print("{}\ncomplete already: {} (--restart runs it anew)\n", summary_table(results),
                 output.path.string());
      return;
    }
    spdlog::info("continuing {}: {} of {} answers are there", output.path.string(), n_done,
                 count_examples(job));
  }
  try {
    run_with_journal(job, results, output, checksum);
  } catch (...) {  // whatever it is, what was done is kept
    if (has_examples(results)) {
      set_checksum(results, checksum.get());
      eval::write_results(results, output.path);
      fmt::print("{}", summary_table(results));
      spdlog::warn("stopped before the end; what is done is in {}, the same command continues",
                   output.path.string());
    }
    throw;
  }
  set_checksum(results, checksum.get());
  eval::write_results(results, output.path);
  output.journal->remove();
  fmt::print("{}\nresults: {}\n", summary_table(results), output.path.string());
}

}  // namespace kvevict::cli
