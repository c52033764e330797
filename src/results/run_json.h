#pragma once

#include <nlohmann/json.hpp>

#include "results/results.h"

namespace kvevict::eval {

/// What was asked and what ran, as every results file holds it (docs/file_formats.md).
[[nodiscard]] nlohmann::ordered_json run_json(const RunInfo& info);

}  // namespace kvevict::eval
