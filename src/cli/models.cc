// kvevict models: what --model can name.
#include <fmt/format.h>

#include <filesystem>

#include "base/folder.h"
#include "cli/subcommands.h"
#include "hub/locations.h"

namespace kvevict::cli {
namespace {

void run_models() {
  fmt::print("--model takes the path of a GGUF file, or a name:\n");
  std::error_code ignored;
  for (const std::filesystem::path& place : default_model_places()) {
    const auto bytes = std::filesystem::file_size(place, ignored);
    const std::string state = ignored ? "not there: run scripts/setup.sh, or set KVEVICT_MODEL"
                                      : fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20));
    fmt::print("  default  {} ({})\n", place.string(), state);
  }
  const std::filesystem::path folder = cache_folder() / "models";
  for (const std::filesystem::directory_entry& entry : entries_of(folder)) {
    if (entry.path().extension() == ".gguf" && entry.path().filename() != kDefaultModelFile) {
      fmt::print("  {}\n", entry.path().string());
    }
  }
}

}  // namespace

void add_models(CLI::App& app) {
  app.add_subcommand("models", "List what --model can name")->callback(run_models);
}

}  // namespace kvevict::cli
