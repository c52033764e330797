#include "results/joined_results.h"

#include <filesystem>
#include <set>
#include <utility>

#include "results/results_identity.h"

namespace kvevict::eval {
namespace {

std::set<std::string> datasets_of(const Results& file) {
  std::set<std::string> names;
  for (const RunResult& run : file.runs) {
    for (const DatasetResult& dataset : run.datasets) names.insert(dataset.name);
  }
  return names;
}

/// The settings that each data set has for itself, as keys of `run_identity`:
/// "configuration.max_new_tokens.qasper".
std::set<std::string> settings_of_datasets(const RunInfo& info) {
  std::set<std::string> keys;
  for (const auto& setting : info.configuration) {
    if (setting.first.find('.') != std::string::npos) keys.insert("configuration." + setting.first);
  }
  return keys;
}

bool have_same_runs(const Results& a, const Results& b) {
  if (a.runs.size() != b.runs.size()) return false;
  for (std::size_t i = 0; i < a.runs.size(); ++i) {
    std::set<std::string> ignored = settings_of_datasets(a.runs[i].info);
    ignored.merge(settings_of_datasets(b.runs[i].info));
    if (first_difference(run_identity(a.runs[i].info), run_identity(b.runs[i].info), ignored)) return false;
  }
  return true;
}

bool can_join(const Results& into, const Results& from) {
  const std::set<std::string> there = datasets_of(into);
  for (const std::string& name : datasets_of(from)) {
    if (there.contains(name)) return false;
  }
  return have_same_runs(into, from);
}

/// A run is complete if all its parts are.
void join(Results& into, Results from) {
  for (std::size_t i = 0; i < into.runs.size(); ++i) {
    RunInfo& info = into.runs[i].info;
    if (info.status == "complete") info.status = from.runs[i].info.status;
    add_part(info, from.runs[i].info);
    info.configuration.merge(from.runs[i].info.configuration);  // what only the other data sets have
    for (DatasetResult& dataset : from.runs[i].datasets) into.runs[i].datasets.push_back(std::move(dataset));
  }
  for (DataInfo& data : from.data) into.data.push_back(std::move(data));
  into.prompts.merge(from.prompts);
}

/// "demo/hotpotqa.json" and 6 more: "demo/hotpotqa+6.json".
std::string name_of_joined(const std::filesystem::path& first, int n_more) {
  std::filesystem::path name = first;
  name.replace_filename(first.stem().string() + "+" + std::to_string(n_more) + first.extension().string());
  return name.string();
}

}  // namespace

NamedResults join_by_dataset(NamedResults separate) {
  NamedResults joined;
  std::vector<int> n_more;
  for (std::size_t i = 0; i < separate.files.size(); ++i) {
    bool is_joined = false;
    for (std::size_t k = 0; k < joined.files.size() && !is_joined; ++k) {
      if (!can_join(joined.files[k], separate.files[i])) continue;
      join(joined.files[k], std::move(separate.files[i]));
      ++n_more[k];
      is_joined = true;
    }
    if (is_joined) continue;
    joined.names.push_back(std::move(separate.names[i]));
    joined.files.push_back(std::move(separate.files[i]));
    n_more.push_back(0);
  }
  for (std::size_t k = 0; k < joined.names.size(); ++k) {
    if (n_more[k] > 0) joined.names[k] = name_of_joined(joined.names[k], n_more[k]);
  }
  return joined;
}

}  // namespace kvevict::eval
