#pragma once

#include <optional>
#include <string>
#include <vector>

namespace kvevict::cli {

/// The strategies that a YAML or JSON file lists, in the grammar of `--strategies`. The file is a list, or
/// has one under "strategies"; an item is a text ("sink_recent:256:1024") or a map of `strategy` and any of
/// `sink_tokens`, `recent_tokens`, `middle_budget`, `uniform_stride`, `block_n`, `prefill`.
/// Errors: kNotFound, kBadData naming the file and the line.
[[nodiscard]] std::vector<std::string> read_strategy_file(const std::string& path);

/// Whether `text`, given to `--strategies`, names such a file: by its ending .yaml, .yml or .json.
[[nodiscard]] bool is_strategy_file(const std::string& text);

}  // namespace kvevict::cli
