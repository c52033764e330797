#pragma once

#include <memory>
#include <string>

#include "cli/engine_flags.h"
#include "cli/strategy_flags.h"
#include "runtime/model_run.h"

namespace kvevict::cli {

/// Loads the model and makes the policy of `spec` as the flags ask for it. Errors: those of the flags
/// and of Model::load; kInvalidArgument for a stride with a bounded prefill.
[[nodiscard]] ModelRun make_run(const EngineFlags& engine, StrategySpec spec);

/// The policy of `spec` for a model that is loaded already, within --kv_memory.
[[nodiscard]] std::shared_ptr<const Policy> make_run_policy(const EngineFlags& engine, StrategySpec spec,
                                                            const Model& model);

/// Refuses a `file` to save to (empty: none) where the run records attention, which a saved session does not
/// hold: kInvalidArgument.
void require_savable(const ModelRun& run, const std::string& file);

/// What --dry_run prints for a prompt of `n_prompt` tokens and an answer of `n_new`.
[[nodiscard]] std::string dry_run_text(const ModelRun& run, std::int64_t n_prompt, std::int64_t n_new);

/// Errors: kNotFound; kInvalidArgument for a folder.
[[nodiscard]] std::ifstream open_text(const std::string& file);

/// The text of a file ("-": standard input), as valid UTF-8 without a byte-order mark. Errors: of
/// `open_text`, kIo, kBadData that names the first byte which is wrong.
[[nodiscard]] std::string read_text(const std::string& file);

}  // namespace kvevict::cli
