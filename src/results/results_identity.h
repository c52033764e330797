#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "results/results.h"

namespace kvevict::eval {

/// Everything about a run that can change its results, as texts: "strategy.sink_tokens",
/// "configuration.chat", "model.sha256", "versions.llama.cpp", … Not the machine, the folder of the data,
/// times and status.
[[nodiscard]] std::map<std::string, std::string> run_identity(const RunInfo& info);

/// The first key whose values differ, `ignored` ones apart, in words: "configuration.chat is auto there
/// and off here"; nothing if all are equal.
[[nodiscard]] std::optional<std::string> first_difference(const std::map<std::string, std::string>& there,
                                                          const std::map<std::string, std::string>& here,
                                                          const std::set<std::string>& ignored = {});

/// The same for whole files: which runs, in which order, with which identity, over which examples of
/// which data. `ignored` names keys of `run_identity`.
[[nodiscard]] std::optional<std::string> first_difference(const Results& there, const Results& here,
                                                          const std::set<std::string>& ignored = {});

/// Takes up in `into` that a part of its run was computed as `other` tells: seconds add up, the earlier start
/// counts, and what the machines differ in is "several".
void add_part(RunInfo& into, const RunInfo& other);

}  // namespace kvevict::eval
