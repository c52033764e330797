#include "experiments/longbench_runner.h"

#include <algorithm>
#include <optional>

#include "base/cancellation.h"
#include "base/stopwatch.h"
#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

const ExampleResult* find_example(const DatasetResult& dataset, const std::string& id) {
  const auto found = std::find_if(dataset.examples.begin(), dataset.examples.end(),
                                  [&](const auto& e) { return e.id == id; });
  return found == dataset.examples.end() ? nullptr : &*found;
}

/// Gives every run the job's data sets in the job's order, with what was there.
void arrange_datasets(const LongBenchJob& job, RunResult& run) {
  std::vector<DatasetResult> arranged;
  for (const DatasetJob& dataset : job.datasets) {
    const auto found = std::find_if(run.datasets.begin(), run.datasets.end(),
                                    [&](const auto& d) { return d.name == dataset.name; });
    arranged.push_back(found == run.datasets.end() ? DatasetResult{.name = dataset.name, .examples = {}}
                                                   : std::move(*found));
  }
  run.datasets = std::move(arranged);
}

/// A data set while it is run: what its examples share.
class DatasetRun {
 public:
  DatasetRun(const LongBenchJob& job, std::size_t number, Results& results, const ExampleDone& on_done)
      : job_(job),
        dataset_(job.datasets[number]),
        number_(number),
        results_(results),
        on_done_(on_done),
        settings_(job.settings) {
    settings_.prompt.n_new_tokens = dataset_.max_new_tokens;
    settings_.stops_at_newline = dataset_.dataset->stops_at_newline;
    for (const RunStrategy& s : job.strategies) {
      if (s.prefill == PrefillMode::kFull && s.positions == PositionMode::kAuto)
        settings_.session.positions = s.positions;
    }
  }

  void run() {
    for (std::size_t i = 0; i < dataset_.examples.size(); ++i) run_example(i);
  }

 private:
  /// One example by every strategy that has not answered it: those of full prefill together, the others
  /// alone.
  void run_example(std::size_t i) {
    const LongBenchExample& example = dataset_.examples[i];
    std::vector<std::size_t> together, alone;
    for (std::size_t run = 0; run < job_.strategies.size(); ++run) {
      if (find_example(results_.runs[run].datasets[number_], example.id) != nullptr) continue;
      const bool can_share = job_.shares_prefill && job_.strategies[run].can_share_prefill();
      (can_share ? together : alone).push_back(run);
    }
    if (together.size() == 1 && !has_document_of(i, i + 1) &&
        !(i > 0 && shared_ && has_document_of(i, i - 1))) {
      alone.insert(alone.begin(), together.front());
      together.clear();
    }
    if (!together.empty()) answer_by(together, i);
    for (const std::size_t run : alone) {
      const PreparedPrompt prompt = prepare(example, job_.strategies[run].prefill);
      finish(run, example, prompt, answer_alone(job_.model, job_.strategies[run], prompt, settings_));
    }
  }

  void answer_by(const std::vector<std::size_t>& runs, std::size_t i) {
    const LongBenchExample& example = dataset_.examples[i];
    const PreparedPrompt prompt = prepare(example, PrefillMode::kFull);
    if (i == 0 || !has_document_of(i, i - 1)) shared_.reset();
    if (!shared_) shared_.emplace(prefill_shared_by(job_.strategies, job_.model, settings_.session));
    std::vector<RunStrategy> strategies;
    for (const std::size_t run : runs) strategies.push_back(job_.strategies[run]);
    std::vector<ExampleResult> answers = answer_together(*shared_, strategies, prompt, settings_);
    for (std::size_t k = 0; k < runs.size(); ++k) finish(runs[k], example, prompt, std::move(answers[k]));
    if (!has_document_of(i, i + 1)) shared_.reset();
  }

  [[nodiscard]] bool has_document_of(std::size_t i, std::size_t other) const {
    return other < dataset_.examples.size() &&
           dataset_.examples[i].context == dataset_.examples[other].context;
  }

  /// A bounded prefill takes prompts of any length: they are cut only if that is asked for.
  [[nodiscard]] PreparedPrompt prepare(const LongBenchExample& example, PrefillMode prefill) const {
    PromptSettings settings = settings_.prompt;
    settings.fits_trained_context = prefill == PrefillMode::kFull;
    return prepare_prompt(*job_.model, *job_.templates, *dataset_.dataset, example, settings);
  }

  void finish(std::size_t run, const LongBenchExample& example, const PreparedPrompt& prompt,
              ExampleResult result) {
    result.id = example.id;
    result.length = example.length;
    result.answers = example.answers;
    result.all_classes = example.all_classes;
    result.score = job_.scorer->score({dataset_.name, result.prediction, result.answers, result.all_classes});
    results_.prompts.emplace(result.prompt_sha256, prompt.text);
    DatasetResult& done = results_.runs[run].datasets[number_];
    done.examples.push_back(std::move(result));
    on_done_(run, dataset_.name, done.examples.back());
  }

  const LongBenchJob& job_;
  const DatasetJob& dataset_;
  std::size_t number_;
  Results& results_;
  const ExampleDone& on_done_;
  ExampleSettings settings_;
  std::optional<SharedPrefill> shared_;  // holds the document of the example before
};

void run_all(const LongBenchJob& job, Results& results, const ExampleDone& on_done) {
  for (std::size_t i = 0; i < job.datasets.size(); ++i) DatasetRun(job, i, results, on_done).run();
}

}  // namespace

void run_longbench(const LongBenchJob& job, Results& results, const ExampleDone& on_done) {
  const Stopwatch watch;
  std::vector<double> seconds_before;
  for (RunResult& run : results.runs) {
    arrange_datasets(job, run);
    seconds_before.push_back(run.info.seconds_total);
  }
  const auto finish = [&](const char* status) {
    for (std::size_t run = 0; run < results.runs.size(); ++run) {
      results.runs[run].info.status = status;
      results.runs[run].info.seconds_total = seconds_before[run] + watch.seconds();
    }
  };
  const auto count_time = [&](std::size_t run, const std::string& dataset, const ExampleResult& example) {
    results.runs[run].info.seconds_total = seconds_before[run] + watch.seconds();
    on_done(run, dataset, example);
  };
  try {
    run_all(job, results, count_time);
  } catch (...) {
    finish(is_cancellation_under_way() ? "interrupted" : "failed");
    throw;
  }
  finish("complete");
}

}  // namespace kvevict::eval
