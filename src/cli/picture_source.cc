#include "cli/picture_source.h"

#include <fmt/format.h>

#include <algorithm>

#include <filesystem>

#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "kvevict/session_file.h"
#include "results/results.h"

namespace kvevict::cli {
namespace {

constexpr std::size_t kMostListed = 20;

/// The one item that is called `wanted`, or the only one if nothing is wanted.
template <typename Items, typename Name>
const typename Items::value_type& choose(const Items& items, const std::string& wanted, const char* flag,
                                         const std::string& place, const Name& name_of) {
  const typename Items::value_type* chosen = nullptr;
  std::string names;
  std::size_t n_listed = 0;
  for (const auto& item : items) {
    if (name_of(item) == wanted || (wanted.empty() && items.size() == 1)) chosen = &item;
    if (n_listed++ < kMostListed) names += (names.empty() ? "" : ", ") + name_of(item);
  }
  if (chosen != nullptr) return *chosen;
  if (items.size() > kMostListed) names += fmt::format(" and {} more", items.size() - kMostListed);
  if (items.empty()) throw Error(ErrorCode::kBadData, place + " holds nothing to draw");
  throw Error(ErrorCode::kInvalidArgument,
              wanted.empty() ? fmt::format("--{} is needed: {} holds {}", flag, place, names)
                             : fmt::format("--{} is \"{}\": {} holds {}", flag, wanted, place, names));
}

std::int64_t value_or(const eval::RunInfo& info, const char* key, std::int64_t otherwise) {
  const auto found = info.strategy_values.find(key);
  return found == info.strategy_values.end() ? otherwise : found->second;
}

/// The cache of a saved session as it was when it was saved.
plot::CachePicture picture_of_session(const PictureSource& source, const std::optional<int>& n_layers) {
  if (!source.run.empty() || !source.dataset.empty() || !source.example.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                source.file + " is a saved session: --run, --dataset and --example choose from results");
  }
  const SavedSession saved = inspect_session(source.file);
  plot::CachePicture picture;
  picture.title =
      fmt::format("{}, {}", std::filesystem::path(source.file).filename().string(), saved.strategy);
  picture.total_len = saved.n_tokens_seen;
  picture.layers = saved.held.by_layer();
  picture.n_layers = n_layers.value_or(static_cast<int>(picture.layers.size()));
  picture.has_layer_count = n_layers || picture.layers.size() > 1;
  // A session may be of a policy that its own program registered: its cache is drawn without the boundaries
  // then.
  const auto policies = all_policies();
  const std::string name = saved.strategy.substr(0, saved.strategy.find(':'));
  const auto is_named = [&](const PolicyInfo& info) { return info.name == name; };
  if (std::none_of(policies.begin(), policies.end(), is_named)) return picture;
  const StrategySpec spec = parse_strategy(saved.strategy);
  if (policy_info(spec.name).uses("recent")) {
    plot::set_boundaries(picture, spec.config.sink_tokens, spec.config.recent_tokens);
  }
  return picture;
}

}  // namespace

plot::CachePicture read_picture(const PictureSource& source, const std::optional<int>& n_layers) {
  if (is_session_file(source.file)) return picture_of_session(source, n_layers);
  const eval::Results results = eval::read_results(source.file);
  const eval::RunResult& run = choose(results.runs, source.run, "run", source.file,
                                      [](const eval::RunResult& r) { return r.info.name; });
  const eval::DatasetResult& dataset =
      choose(run.datasets, source.dataset, "dataset", source.file + ", " + run.info.name,
             [](const eval::DatasetResult& d) { return d.name; });
  const eval::ExampleResult& example =
      choose(dataset.examples, source.example, "example", source.file + ", " + dataset.name,
             [](const eval::ExampleResult& e) { return e.id; });
  plot::CachePicture picture;
  picture.title = fmt::format("{}, {}", run.info.name, eval::example_name(dataset.name, example.id));
  picture.total_len = example.n_prompt_tokens;
  picture.layers = example.kept_ranges;
  const auto n_sets = static_cast<int>(picture.layers.size());
  if (n_layers && n_sets > 1 && *n_layers != n_sets) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--n_layers is {}: {} tells the kept tokens of {} layers", *n_layers, source.file,
                            n_sets));
  }
  picture.n_layers = n_layers.value_or(n_sets);
  picture.has_layer_count = n_layers || n_sets > 1;
  if (run.info.strategy_values.contains("recent_tokens")) {
    plot::set_boundaries(picture, value_or(run.info, "sink_tokens", 0),
                         value_or(run.info, "recent_tokens", 0));
  }
  return picture;
}

}  // namespace kvevict::cli
