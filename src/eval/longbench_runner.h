#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/prompt_builder.h"
#include "kvevict/policy.h"
#include "kvevict/results.h"
#include "kvevict/scorer.h"
#include "kvevict/session.h"

namespace kvevict {

/// From which cache the first token of an answer is drawn.
enum class FirstToken {
  kEvicted,  ///< The last prompt token is decoded after the eviction: every answer token sees the evicted
             ///< cache.
  kFull,     ///< All of the prompt is decoded first, as the Python demo does.
};

struct ExampleSettings {
  SessionOptions session;
  PromptSettings prompt;
  FirstToken first_token = FirstToken::kEvicted;
  SamplingOptions sampling;
  bool stops_at_newline = false;  ///< The answer ends at its first new line (LongBench's rule for samsum).
};

/// Answers one question: prefill in full, one eviction, then the answer, evicting again whenever the
/// cache outgrows its budget. The score is left at 0. Errors: those of Session; nothing is kept of a
/// failed example.
[[nodiscard]] ExampleResult answer_example(std::shared_ptr<const Model> model,
                                           std::shared_ptr<const Policy> policy, const PreparedPrompt& prompt,
                                           const ExampleSettings& settings);

/// A data set that is to be run: its name (which may be that of a LongBench-E twin), its row, its examples,
/// what it generates.
struct DatasetJob {
  std::string name;
  const LongBenchDataset* dataset = nullptr;
  std::vector<LongBenchExample> examples;
  std::int64_t max_new_tokens = 0;
};

/// Everything that a run over several strategies and data sets needs.
struct LongBenchJob {
  std::shared_ptr<const Model> model;
  std::vector<std::shared_ptr<const Policy>> policies;
  std::vector<DatasetJob> datasets;
  const PromptTemplates* templates = nullptr;
  const Scorer* scorer = nullptr;
  ExampleSettings settings;  ///< `prompt.n_new_tokens` is set for each data set.
};

/// Called when an example is done and stands in `results`: `run` is the number of its strategy.
using ExampleDone =
    std::function<void(std::size_t run, const std::string& dataset, const ExampleResult& example)>;

/// Answers every example by every strategy, example by example, filling `results.runs`, which holds a
/// RunResult (with its RunInfo) for each policy. What is in there already, of a run that was cut off, is
/// not done again. On an error the runs keep what is done and say "interrupted" (kCancelled) or "failed",
/// and the error is passed on. Each run's `seconds_total` grows by the time that the whole took.
void run_longbench(const LongBenchJob& job, Results& results, const ExampleDone& on_done);

}  // namespace kvevict
