#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "cli/strategy_flags.h"
#include "experiments/longbench_runner.h"

namespace kvevict::cli {

/// The flags of kvevict longbench.
struct LongBenchFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  bool demo_mode = false;
  std::vector<std::string> datasets;
  std::string data_dir;
  std::string longbench_config;
  std::optional<std::int64_t> num_examples, max_new_tokens, max_length;
  std::string chat = "auto";
  std::string first_token = "evicted";
  std::string question = "before";
  SamplingOptions sampling;
  std::string share_prefill = "on";
  std::vector<std::string> ids;
  std::string shard;
  std::string output;
  bool restart = false;
};

/// What of the data the flags choose.
struct ChosenData {
  std::filesystem::path folder;
  std::vector<eval::DatasetJob> jobs;
  std::vector<eval::DataInfo> info;  ///< Before sharding.
};

/// Reads the data sets and leaves the examples that --num_examples, --ids and --shard choose. Errors: those
/// of reading; kInvalidArgument for a data set given twice and for ids that no data set has.
[[nodiscard]] ChosenData choose_data(const LongBenchFlags& flags, const eval::PromptTemplates& templates);

/// The strategy as the flags ask for it, for a model that is loaded: policy, prefill and positions.
[[nodiscard]] eval::RunStrategy make_strategy(const EngineFlags& engine, const ChosenStrategy& strategy,
                                              const Model& model);

/// The job as the flags ask for it; loads the model.
[[nodiscard]] eval::LongBenchJob make_job(const LongBenchFlags& flags, std::vector<ChosenStrategy> strategies,
                                          std::vector<eval::DatasetJob> datasets);

/// A results file with a run for each strategy, without examples and without the model's checksum.
[[nodiscard]] eval::Results empty_results(const LongBenchFlags& flags, const eval::LongBenchJob& job,
                                          const ChosenData& data);

}  // namespace kvevict::cli
