// Part 1 of kvevict demo: questions, answered by several strategies.
#include <fmt/format.h>

#include "cli/demo_parts.h"
#include "cli/longbench_job.h"
#include "cli/longbench_report.h"
#include "cli/paragraph.h"
#include "cli/table.h"
#include "experiments/longbench_runner.h"
#include "hub/locations.h"
#include "results/comparison.h"
#include "results/statistics.h"

namespace kvevict::cli {
namespace {

/// About a fifth and a half of the demo set's prompts.
constexpr const char* kStrategies = "full,sink_recent:64:256,sink_recent_uniform:64:256:512";

LongBenchFlags longbench_flags(const Demo& demo) {
  LongBenchFlags flags;
  flags.engine = demo.flags.engine;
  flags.strategy.strategies = kStrategies;
  flags.demo_mode = true;
  flags.datasets = english_demo_datasets();
  flags.data_dir = demo.data.string();
  flags.num_examples = demo.flags.questions;
  return flags;
}

std::vector<const eval::ExampleResult*> examples_of(const eval::RunResult& run) {
  std::vector<const eval::ExampleResult*> examples;
  for (const eval::DatasetResult& dataset : run.datasets) {
    for (const eval::ExampleResult& example : dataset.examples) examples.push_back(&example);
  }
  return examples;
}

template <typename Number>
double mean_of_examples(const eval::RunResult& run, Number eval::ExampleResult::*member) {
  std::vector<double> values;
  for (const eval::ExampleResult* example : examples_of(run))
    values.push_back(static_cast<double>(example->*member));
  return eval::mean_of(values);
}

std::string score_table(const eval::Results& results) {
  Table table({"strategy", "F1", "95 % interval", "against full", "tokens", "K and V"});
  const eval::RunResult& full = results.runs.front();
  for (const eval::RunResult& run : results.runs) {
    const auto [score, interval] = eval::bootstrap_groups(eval::points_by_dataset(run));
    std::string against;
    if (&run != &full) {
      const auto [difference, range] = eval::bootstrap_groups(eval::points_by_dataset(run, &full));
      against = fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", difference, range.low, range.high);
    }
    table.add({run.info.strategy, fmt::format("{:.1f}", score),
               fmt::format("[{:.1f}, {:.1f}]", interval.low, interval.high), against,
               fmt::format("{:.0f}", mean_of_examples(run, &eval::ExampleResult::n_kept_tokens)),
               mib_text(mean_of_examples(run, &eval::ExampleResult::kv_bytes_after_eviction))});
  }
  return table.text();
}

std::string how_to_read(const Model& model) {
  std::string text =
      "F1: how well the answers match, 0 to 100. against full: the difference over the same questions; an "
      "interval "
      "that holds 0 means that these questions show no difference.";
  const double millions = static_cast<double>(model.info().n_parameters) / 1e6;
  if (millions < 1000) {
    text += fmt::format(
        " A model of {:.0f} million parameters answers few questions even with the whole cache: what "
        "eviction costs "
        "is in the difference, not in the height. These are not LongBench scores.",
        millions);
  }
  return text;
}

void print_title(const Model& model) {
  const ModelInfo& info = model.info();
  fmt::print("{}", paragraph(fmt::format("kvevict demo: {}, {:.0f} million parameters, context {}", info.name,
                                         static_cast<double>(info.n_parameters) / 1e6,
                                         with_commas(info.n_context_trained))));
}

}  // namespace

std::vector<std::string> english_demo_datasets() {
  return {"narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa", "musique"};
}

eval::Results ask_demo_questions(Demo& demo) {
  const LongBenchFlags flags = longbench_flags(demo);
  const eval::PromptTemplates templates(data_folder() / "longbench", "");
  const eval::Scorer scorer(data_folder() / "jieba");
  ChosenData data = choose_data(flags, templates);
  eval::LongBenchJob job = make_job(flags, flags.strategy.chosen("full"), std::move(data.jobs));
  job.templates = &templates;
  job.scorer = &scorer;
  job.settings.session.cancel = demo.session.cancel;
  demo.model = job.model;
  const std::int64_t n_answers = count_examples(job);
  const auto n_strategies = static_cast<std::int64_t>(job.strategies.size());
  const std::int64_t n_questions = n_answers / n_strategies;

  print_title(*demo.model);
  print_heading(
      demo, "1. What does eviction cost in answers?",
      fmt::format("{} questions: the first {} of each of the six English demo sets, about documents of some "
                  "three pages. All strategies start from the same prefill. sink_recent keeps the first 64 "
                  "and the last 256 tokens, sink_recent_uniform also 512 between them.",
                  n_questions, flags.num_examples.value_or(0)));
  demo.status.show(fmt::format("question 1 of {}", n_questions));
  eval::Results results = empty_results(flags, job, data);
  const std::string model_sha256 = demo.model->sha256();
  for (eval::RunResult& run : results.runs) run.info.model_sha256 = model_sha256;
  std::int64_t n_done = 0;
  eval::run_longbench(job, results, [&](std::size_t, const std::string&, const eval::ExampleResult&) {
    const std::int64_t number = ++n_done / n_strategies + 1;
    if (number <= n_questions) demo.status.show(fmt::format("question {} of {}", number, n_questions));
  });
  demo.status.clear();
  fmt::print("{}\n{}", score_table(results), paragraph(how_to_read(*demo.model)));
  return results;
}

}  // namespace kvevict::cli
