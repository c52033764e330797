// kvevict models: what --model can name, and which architectures work.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/cache_folder.h"
#include "base/folder.h"
#include "cli/architectures.h"
#include "cli/flags.h"
#include "cli/subcommands.h"
#include "hub/gguf_choice.h"
#include "hub/locations.h"

namespace kvevict::cli {
namespace {

/// What the hub's cache holds, by the names that choose it.
void print_hub_models() {
  std::error_code ignored;
  const HubCache cache = HubCache::from_environment();
  for (const std::string& name : cache.repositories(HubKind::kModel)) {
    for (const HubSnapshot& snapshot : cache.snapshots(HubKind::kModel, name)) {
      const std::vector<GgufModel> models = gguf_models(snapshot.paths);
      for (const GgufModel& model : models) {
        std::uintmax_t bytes = 0;
        for (const std::string& part : model.parts)
          bytes += std::filesystem::file_size(snapshot.folder / part, ignored);
        fmt::print("  {}{}{}  {} ({:.0f} MiB{})\n", name, model.tag.empty() ? "" : ":", model.tag,
                   model.parts.front(), static_cast<double>(bytes) / (1 << 20),
                   model.missing_parts.empty() ? "" : ", parts are missing: kvevict fetch");
      }
      if (!models.empty()) break;  // older snapshots are not what the name means
    }
  }
}

struct ModelsFlags {
  bool architectures = false;
  bool json = false;
};

void list_models() {
  fmt::print("--model takes the path of a GGUF file, or a name:\n");
  std::error_code ignored;
  for (const std::filesystem::path& place : default_model_places()) {
    const auto bytes = std::filesystem::file_size(place, ignored);
    const std::string state = ignored ? "not there: run scripts/setup.sh, or set KVEVICT_MODEL"
                                      : fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20));
    fmt::print("  default  {} ({})\n", place.string(), state);
  }
  print_hub_models();
  const std::filesystem::path folder = cache_folder() / "models";
  for (const std::filesystem::directory_entry& entry : entries_of(folder)) {
    if (entry.path().extension() == ".gguf" && entry.path().filename() != kDefaultModelFile) {
      fmt::print("  {}\n", entry.path().string());
    }
  }
}

}  // namespace

void add_models(CLI::App& app) {
  CLI::App* const command =
      app.add_subcommand("models", "List what --model can name, or which architectures work");
  const auto flags = std::make_shared<ModelsFlags>();
  CLI::Option* const architectures =
      add_flag(*command, "architectures", flags->architectures,
               "What works with which architecture of llama.cpp, by measurement");
  add_flag(*command, "json", flags->json, "The table of architectures as JSON")->needs(architectures);
  command->callback([flags] {
    if (flags->architectures)
      fmt::print("{}", architectures_text(flags->json));
    else
      list_models();
  });
}

}  // namespace kvevict::cli
