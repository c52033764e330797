#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "cli/strategy_flags.h"
#include "kvevict/memory.h"
#include "runtime/model_run.h"

namespace kvevict::cli {

/// Whether a session of `model` can read the keys that the strategy compares: it finds out when it is made.
[[nodiscard]] bool can_compare_keys(const std::shared_ptr<const Model>& model, const StrategySpec& spec);

/// Says on stderr what it costs if automatic positions were to be had and `model` keeps absolute ones. Once
/// for a command, however many runs it makes.
void note_positions(const EngineFlags& engine, const Model& model);

/// A run of `model` with the policy of `spec` as the flags ask for it. Errors: those of the flags and of
/// `make_run_policy`.
[[nodiscard]] ModelRun make_run(const EngineFlags& engine, StrategySpec spec,
                                std::shared_ptr<const Model> model, const RunSize& size = {});

/// The policy of `spec`, within --kv_memory for a run of `size`; what was chosen is said on stderr. Errors:
/// those of `fit_to_memory`, but `full`, which cannot be limited, is only warned of; kInvalidArgument for a
/// stride with a bounded prefill.
[[nodiscard]] std::shared_ptr<const Policy> make_run_policy(const EngineFlags& engine, StrategySpec spec,
                                                            const Model& model, const RunSize& size = {});

/// sink_recent; for a model of short contexts with values that leave room for a chunk.
[[nodiscard]] StrategySpec default_strategy_for(const Model& model);

/// `specs`, which `flags` gave, as `model` can have them. If there is nothing to evict from it and no
/// strategy was named, `full` alone, said once on stderr; the default strategy is
/// `default_strategy_for(model)`.
[[nodiscard]] std::vector<StrategySpec> specs_for(const Model& model, std::vector<StrategySpec> specs,
                                                  const StrategyFlags& flags);

/// Refuses a `file` to save to (empty: none) if the run records attention, which a saved session does not
/// hold: kInvalidArgument.
void require_savable(const ModelRun& run, const std::string& file);

/// What --dry_run prints.
[[nodiscard]] std::string dry_run_text(const ModelRun& run, const RunSize& size = {});

/// Errors: kNotFound; kInvalidArgument for a folder.
[[nodiscard]] std::ifstream open_text(const std::string& file);

/// The text of a file ("-": standard input), as valid UTF-8 without a byte-order mark. Errors: of
/// `open_text`, kIo, kBadData that names the first byte which is wrong.
[[nodiscard]] std::string read_text(const std::string& file);

}  // namespace kvevict::cli
