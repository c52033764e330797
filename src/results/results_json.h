#pragma once

#include <nlohmann/json.hpp>

#include "results/results.h"
#include "text/json_reader.h"

namespace kvevict::eval {

/// The parts of a results file; the layout is documented in docs/file_formats.md. Each `…_from` reads what
/// its `…_json` writes, and throws as JsonReader does.

[[nodiscard]] nlohmann::ordered_json example_json(const ExampleResult& example);
[[nodiscard]] ExampleResult example_from(const JsonReader& json);

[[nodiscard]] nlohmann::ordered_json results_json(const Results& results);
[[nodiscard]] Results results_from(const JsonReader& json);

}  // namespace kvevict::eval
