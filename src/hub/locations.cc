#include "hub/locations.h"

#include <fmt/format.h>

#include "base/cache_folder.h"
#include "base/environment.h"
#include "hub/gguf_choice.h"
#include "hub/hub_cache.h"
#include "hub/hub_repository.h"
#include "kvevict/error.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

std::string listed(const std::vector<fs::path>& places) {
  std::string text;
  for (const fs::path& place : places) text += (text.empty() ? "" : ", ") + place.string();
  return text;
}

}  // namespace

std::vector<fs::path> default_model_places() {
  const fs::path named = environment_variable("KVEVICT_MODEL");
  if (!named.empty()) return {named};
  const fs::path cache = cache_folder();
  return cache.empty() ? std::vector<fs::path>()
                       : std::vector<fs::path>{cache / "models" / kDefaultModelFile};
}

namespace {

/// A model of the hub's cache, of the newest snapshot that has it whole. Errors: kNotFound that says how to
/// get it.
fs::path find_hub_model(const ModelName& name, const std::string& text) {
  const HubCache cache = HubCache::from_environment();
  if (const auto files = find_cached_model(cache, name); !files.empty()) return files.front();
  for (const HubSnapshot& snapshot : cache.snapshots(HubKind::kModel, name.repository)) {
    if (gguf_models(snapshot.paths).empty()) continue;
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}; looked in {} (kvevict fetch {} asks the hub)",
                            no_gguf_sentence(name, snapshot.paths), snapshot.folder.string(), text));
  }
  throw Error(
      ErrorCode::kNotFound,
      fmt::format(
          "the model {} is neither a file nor in {}: kvevict fetch {} downloads it, where it is a repository "
          "of "
          "GGUF files (their names mostly end in -GGUF); a model in another format must be converted with "
          "llama.cpp's convert_hf_to_gguf.py first",
          text, cache.root().string(), text));
}

}  // namespace

fs::path longbench_folder() {
  const fs::path cache = cache_folder();
  return cache.empty() ? fs::path() : cache / "longbench";
}

fs::path find_model(const std::string& name) {
  std::error_code ignored;
  if (name != "default") {
    if (fs::exists(name, ignored)) return name;
    const auto hub_name = parse_model_name(name);
    if (hub_name && (!hub_name->quant.empty() || !name.ends_with(".gguf")))
      return find_hub_model(*hub_name, name);
    throw Error(
        ErrorCode::kNotFound,
        fmt::format(
            "there is no model \"{}\": the path of a GGUF file, "
            "\"default\", or a repository org/repo[:quant] is needed (kvevict models lists what is there)",
            name),
        "model");
  }
  const std::vector<fs::path> places = default_model_places();
  for (const fs::path& place : places) {
    if (fs::exists(place, ignored)) return place;
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("the default model is not there: looked for {}; run scripts/setup.sh, or "
                          "set KVEVICT_MODEL to a GGUF file",
                          listed(places)));
}

fs::path data_folder() {
  std::vector<fs::path> places;
  const fs::path named = environment_variable("KVEVICT_DATA");
  std::error_code ignored;
  if (!named.empty()) {
    places.push_back(named);
  } else {
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    places.push_back((program.parent_path() / ".." / "share" / "kvevict").lexically_normal());
    places.emplace_back(KVEVICT_SOURCE_DATA_DIR);
  }
  for (const fs::path& place : places) {
    if (fs::exists(place / "longbench", ignored)) return place;
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("the data of kvevict are not there: looked in {}; set KVEVICT_DATA to the "
                          "folder that holds longbench, jieba and demo",
                          listed(places)));
}

}  // namespace kvevict
