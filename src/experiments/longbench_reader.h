#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kvevict::eval {

/// A line of a LongBench v1 data file.
struct LongBenchExample {
  std::string id;  ///< `_id`
  std::string input;
  std::string context;
  std::vector<std::string> answers;
  std::vector<std::string> all_classes;
  std::int64_t length = 0;
  std::string dataset;
  std::string language;
};

/// The first `n_most` examples of a JSONL file (all without it), in the file's order. Blank lines
/// and a byte-order mark are passed over. Errors: kNotFound; kBadData naming file, line and column
/// of what does not parse, the line and the field that is missing or of another type, or the lines of an
/// id that stands twice.
[[nodiscard]] std::vector<LongBenchExample> read_longbench_file(const std::filesystem::path& path,
                                                                std::optional<std::int64_t> n_most);

/// `<folder>/<dataset>.jsonl`. Errors: kNotFound that says where was looked and what is there.
[[nodiscard]] std::filesystem::path find_longbench_file(const std::filesystem::path& folder,
                                                        const std::string& dataset);

}  // namespace kvevict::eval
