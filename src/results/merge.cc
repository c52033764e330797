#include "results/merge.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kvevict/error.h"
#include "results/results_identity.h"

namespace kvevict::eval {
namespace {

constexpr const char* kShardKey = "shard";

/// Names for a sentence: the first few, then how many more.
class NameList {
 public:
  void add(const std::string& name) {
    constexpr std::size_t kMost = 10;
    if (n_++ < kMost) text_ += (text_.empty() ? "" : ", ") + name;
  }
  [[nodiscard]] bool empty() const { return n_ == 0; }
  [[nodiscard]] std::string text() const {
    constexpr std::size_t kMost = 10;
    return n_ <= kMost ? text_ : text_ + " and " + std::to_string(n_ - kMost) + " more";
  }

 private:
  std::string text_;
  std::size_t n_ = 0;
};

struct Found {
  const ExampleResult* example;
  std::size_t file;
};

/// (data set, id) -> the example.
using FoundExamples = std::map<std::pair<std::string, std::string>, Found>;

void require_same_configuration(const std::vector<std::string>& names, const std::vector<Results>& files) {
  for (std::size_t i = 1; i < files.size(); ++i) {
    const auto difference = first_difference(files[0], files[i], {std::string("configuration.") + kShardKey});
    if (!difference) continue;
    throw Error(ErrorCode::kInvalidArgument,
                names[0] + " (there) and " + names[i] +
                    " (here) are of different configurations and cannot be merged: " + *difference);
  }
}

FoundExamples find_examples(const std::vector<std::string>& names, const std::vector<Results>& files,
                            std::size_t run) {
  FoundExamples found;
  NameList duplicates;
  for (std::size_t file = 0; file < files.size(); ++file) {
    for (const DatasetResult& dataset : files[file].runs[run].datasets) {
      for (const ExampleResult& example : dataset.examples) {
        const auto [there, is_new] =
            found.emplace(std::pair(dataset.name, example.id), Found{&example, file});
        if (!is_new)
          duplicates.add(dataset.name + " " + example.id + " (" + names[there->second.file] + ", " +
                         names[file] + ")");
      }
    }
  }
  if (duplicates.empty()) return found;
  throw Error(ErrorCode::kInvalidArgument, "these examples are in more than one file: " + duplicates.text());
}

void merge_info(const std::vector<Results>& files, std::size_t run, RunInfo& info) {
  info.configuration.erase(kShardKey);
  for (std::size_t file = 1; file < files.size(); ++file) add_part(info, files[file].runs[run].info);
}

}  // namespace

Results merge_results(const std::vector<std::string>& file_names, const std::vector<Results>& files,
                      bool allows_gaps) {
  if (files.empty()) throw Error(ErrorCode::kInvalidArgument, "there is no file to merge");
  require_same_configuration(file_names, files);
  if (files[0].data.empty()) {
    throw Error(ErrorCode::kInvalidArgument, file_names[0] +
                                                 " does not say which examples its run is made of: only "
                                                 "results of kvevict longbench can be merged");
  }
  Results merged{.runs = {}, .data = files[0].data, .prompts = {}};
  for (const Results& file : files) merged.prompts.insert(file.prompts.begin(), file.prompts.end());
  NameList gaps;
  for (std::size_t run = 0; run < files[0].runs.size(); ++run) {
    const FoundExamples found = find_examples(file_names, files, run);
    RunResult whole{.info = files[0].runs[run].info, .datasets = {}};
    merge_info(files, run, whole.info);
    bool is_complete = true;
    for (const DataInfo& data : merged.data) {
      DatasetResult dataset{.name = data.dataset, .examples = {}};
      for (const std::string& id : data.ids) {
        const auto there = found.find({data.dataset, id});
        if (there != found.end()) {
          dataset.examples.push_back(*there->second.example);
        } else {
          is_complete = false;
          gaps.add(whole.info.name + " " + data.dataset + " " + id);
        }
      }
      whole.datasets.push_back(std::move(dataset));
    }
    whole.info.status = is_complete ? "complete" : "interrupted";
    merged.runs.push_back(std::move(whole));
  }
  if (!gaps.empty() && !allows_gaps) {
    throw Error(ErrorCode::kInvalidArgument,
                "these examples are in none of the files: " + gaps.text() +
                    "; run the missing shards, or allow gaps to merge without them",
                "allow_gaps");
  }
  return merged;
}

}  // namespace kvevict::eval
