#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/strategy_flags.h"
#include "kvevict/document.h"
#include "runtime/model_run.h"

namespace kvevict::cli {

/// What `generate` does with a document that is evicted first and asked later.
struct DocumentFlags {
  std::vector<std::string> then;  ///< Questions.
  std::string then_file;          ///< A question on each line; "-": standard input.
  std::string save, load;

  void add_to(CLI::App& app);

  [[nodiscard]] bool are_given() const { return !(then.empty() && (then_file + save + load).empty()); }

  /// The questions of both, in this order. Errors: kInvalidArgument for a blank one and for a file without
  /// any; kBadData for one that is not UTF-8; those of read_text.
  [[nodiscard]] std::vector<std::string> questions() const;
};

/// The first of `specs`, which `flags` gave over kDocumentStrategy, as `model` can have it: as `specs_for`;
/// of the default strategy, what a short context has room for, and kPositionalDocumentStrategy where the
/// model's keys cannot be compared, which is said. `has_weights`: false for a model that cannot be asked.
[[nodiscard]] StrategySpec document_strategy(const std::shared_ptr<const Model>& model,
                                             std::vector<StrategySpec> specs, const StrategyFlags& flags,
                                             bool has_weights);

/// Refuses strategy flags that ask for another strategy than the one that evicted the document in `file`:
/// kInvalidArgument. Errors: those of `inspect_session`.
void require_saved_strategy(const std::string& file, const StrategyFlags& flags);

/// What --dry_run adds to `dry_run_text` for what comes behind a document.
[[nodiscard]] std::string dry_run_of_questions(const ModelRun& run);

/// Refuses --kv_memory, whose limit could not count the questions: kInvalidArgument.
void require_no_memory_limit(const std::string& kv_memory);

}  // namespace kvevict::cli
