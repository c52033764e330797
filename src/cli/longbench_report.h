#pragma once

#include <cstdint>
#include <string>

#include "experiments/longbench_runner.h"
#include "results/results.h"

namespace kvevict::cli {

/// The part of RunInfo that follows from the model, the policy and the machine.
[[nodiscard]] eval::RunInfo describe_run(const Model& model, const Policy& policy);

/// "sink_recent:64:256 qasper qasper-demo-1-1: F1 0.67, kept 320 of 2410 tokens, …"
[[nodiscard]] std::string describe_example(const std::string& strategy, const std::string& dataset,
                                           const eval::ExampleResult& example);

/// A row for each strategy and data set, side by side.
[[nodiscard]] std::string summary_table(const eval::Results& results);

/// What each strategy would need for the job's longest prompt. Nothing is computed.
[[nodiscard]] std::string memory_table(const eval::LongBenchJob& job);

[[nodiscard]] std::int64_t count_examples(const eval::LongBenchJob& job);
[[nodiscard]] bool has_examples(const eval::Results& results);

}  // namespace kvevict::cli
