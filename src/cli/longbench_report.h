#pragma once

#include <cstdint>
#include <string>

#include "experiments/longbench_runner.h"
#include "results/results.h"

namespace kvevict::cli {

/// The part of RunInfo that follows from the model, the policy and the machine.
[[nodiscard]] eval::RunInfo describe_run(const Model& model, const Policy& policy);

/// What a run is called in a line of progress: its strategy without values, if that tells it from the others.
[[nodiscard]] std::string short_run_name(const eval::Results& results, std::size_t run);

/// "qasper-demo-1-1: F1 0.67 by sink_recent"
[[nodiscard]] std::string describe_example(const std::string& run, const std::string& dataset,
                                           const eval::ExampleResult& example);

/// For each data set its runs side by side, then all data sets together.
[[nodiscard]] std::string summary_table(const eval::Results& results);

/// What each strategy would need for the job's longest prompt. Nothing is computed.
[[nodiscard]] std::string memory_table(const eval::LongBenchJob& job);

[[nodiscard]] std::int64_t count_examples(const eval::LongBenchJob& job);
[[nodiscard]] bool has_examples(const eval::Results& results);

}  // namespace kvevict::cli
