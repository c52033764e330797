#include "experiments/longbench_reader.h"

#include <algorithm>
#include <map>

#include "base/folder.h"
#include "kvevict/error.h"
#include "text/jsonl.h"

namespace kvevict::eval {
namespace fs = std::filesystem;

std::vector<LongBenchExample> read_longbench_file(const fs::path& path, std::optional<std::int64_t> n_most) {
  std::vector<LongBenchExample> examples;
  std::map<std::string, std::string> places;  // of ids
  if (n_most == 0) return examples;
  for_each_jsonl_row(path, [&](const JsonlRow& row) {
    LongBenchExample example{.id = row.text_or_empty("_id"),
                             .input = row.text("input"),
                             .context = row.text("context"),
                             .answers = row.texts("answers", true),
                             .all_classes = row.texts("all_classes", false),
                             .length = row.integer_or_zero("length"),
                             .dataset = row.text_or_empty("dataset"),
                             .language = row.text_or_empty("language")};
    if (example.answers.empty()) {
      throw Error(ErrorCode::kBadData,
                  row.place() + ": the field \"answers\" is empty, at least one answer is needed");
    }
    if (example.id.empty()) example.id = std::to_string(examples.size() + 1);
    const auto [earlier, is_new] = places.emplace(example.id, row.place());
    if (!is_new) {
      throw Error(ErrorCode::kBadData, row.place() + ": the _id \"" + example.id + "\" is also that of " +
                                           earlier->second + ", ids must differ within a file");
    }
    examples.push_back(std::move(example));
    return !n_most || static_cast<std::int64_t>(examples.size()) < *n_most;
  });
  return examples;
}

fs::path find_longbench_file(const fs::path& folder, const std::string& dataset) {
  std::error_code error;
  fs::path path = folder / (dataset + ".jsonl");
  if (fs::is_regular_file(path, error)) return path;
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    if (entry.path().extension() == ".jsonl") found.push_back(entry.path().stem().string());
  }
  std::sort(found.begin(), found.end());
  std::string listed;
  for (const std::string& name : found) listed += (listed.empty() ? "" : ", ") + name;
  throw Error(ErrorCode::kNotFound,
              "the data set " + dataset + " has no file: looked for " + path.string() +
                  (fs::is_directory(folder, error) ? (listed.empty() ? "; the folder holds no .jsonl file"
                                                                     : "; the folder holds " + listed)
                                                   : "; there is no such folder"),
              "data_dir");
}

}  // namespace kvevict::eval
