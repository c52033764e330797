#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/prompt_builder.h"
#include "experiments/shared_prefill.h"
#include "kvevict/policy.h"
#include "kvevict/session.h"
#include "results/results.h"
#include "results/scorer.h"

namespace kvevict::eval {

/// From which cache the first token of an answer is drawn.
enum class FirstToken {
  kEvicted,  ///< The last prompt token is decoded after the eviction: every answer token sees the evicted
             ///< cache.
  kFull,     ///< All of the prompt is decoded first, as the Python demo does.
};

struct ExampleSettings {
  SessionOptions session;  ///< `positions` is not used: each strategy has its own.
  PromptSettings prompt;
  FirstToken first_token = FirstToken::kEvicted;  ///< Without meaning for a question that is held back.
  SamplingOptions sampling;
  bool stops_at_newline = false;  ///< See AnswerSettings.
};

/// A policy and how it is run.
struct RunStrategy {
  std::shared_ptr<const Policy> policy;
  PrefillMode prefill = PrefillMode::kFull;
  PositionMode positions = PositionMode::kAbsolute;

  /// Whether it can be judged from a prefill that others share: not if its prefill is bounded, and not
  /// if the attention of every query has to be recorded, for which all would pay.
  [[nodiscard]] bool can_share_prefill() const {
    const auto scores = policy->score_request();
    return prefill == PrefillMode::kFull && (!scores || scores->n_last_queries > 0);
  }
};

/// A prefill for those of `strategies` that can share one.
[[nodiscard]] SharedPrefill prefill_shared_by(std::span<const RunStrategy> strategies,
                                              const std::shared_ptr<const Model>& model,
                                              SessionOptions options);

/// Answers one question by one strategy: prefill in full, then one eviction, or bounded; then the answer,
/// evicting again whenever the cache outgrows its budget. A question that is held back
/// (`PreparedPrompt::n_question_tokens`) is appended after the last eviction: it and its answer come on top
/// of the budget. The score is left at 0. Errors: those of Session; nothing is kept of a failed example.
[[nodiscard]] ExampleResult answer_alone(const std::shared_ptr<const Model>& model,
                                         const RunStrategy& strategy, const PreparedPrompt& prompt,
                                         const ExampleSettings& settings);

/// The same for several questions. The context of those that are held back is computed and evicted once, if
/// it is that of the one before (`ExampleResult::n_reused_tokens`) and the model's cache can go back to it.
[[nodiscard]] std::vector<ExampleResult> answer_each_alone(const std::shared_ptr<const Model>& model,
                                                           const RunStrategy& strategy,
                                                           std::span<const PreparedPrompt> prompts,
                                                           const ExampleSettings& settings);

/// Answers one question by several strategies of full prefill: the prompt goes in once, each strategy evicts
/// its own cells, and all answers are decoded together. The answers are those of `answer_alone`. Times are of
/// all together (`n_sharing`); bytes after the eviction are those that the strategy would need alone, the
/// peak is that of the contexts which were there. A single strategy gets a context of its own after its
/// eviction.
[[nodiscard]] std::vector<ExampleResult> answer_together(SharedPrefill& shared,
                                                         std::span<const RunStrategy> strategies,
                                                         const PreparedPrompt& prompt,
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
  std::vector<RunStrategy> strategies;
  std::vector<DatasetJob> datasets;
  const PromptTemplates* templates = nullptr;
  const Scorer* scorer = nullptr;
  ExampleSettings settings;  ///< `prompt.n_new_tokens` is set for each data set.
  /// One prefill for all strategies, and for questions on one document that stand next to each other.
  bool shares_prefill = true;
};

/// Called when an example is done and stands in `results`: `run` is the number of its strategy.
using ExampleDone =
    std::function<void(std::size_t run, const std::string& dataset, const ExampleResult& example)>;

/// Answers every example by every strategy, example by example, filling `results.runs`, which holds a
/// RunResult (with its RunInfo) for each strategy. What is in there already, of a run that was cut off, is
/// not done again. On an error the runs keep what is done and say "interrupted" (kCancelled) or "failed",
/// and the error is passed on. Each run's `seconds_total` grows by the time that the whole took.
void run_longbench(const LongBenchJob& job, Results& results, const ExampleDone& on_done);

}  // namespace kvevict::eval
