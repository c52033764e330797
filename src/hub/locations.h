#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvevict {

/// File name of the default model, SmolLM2-135M-Instruct, in the cache folder. The scripts and CMake read it
/// here.
inline constexpr const char* kDefaultModelFile = "SmolLM2-135M-Instruct.Q8_0.gguf";

/// Where the default model is looked for, in order: `$KVEVICT_MODEL`, the cache folder's `models`.
[[nodiscard]] std::vector<std::filesystem::path> default_model_places();

/// Where kvevict fetch puts LongBench's data files: `longbench` in the cache folder; empty without one.
[[nodiscard]] std::filesystem::path longbench_folder();

/// The file that `name` means: `default`, a path, or a repository `org/repo[:quant]` of the hub's cache.
/// Errors: kNotFound that says where was looked and how to get the model.
[[nodiscard]] std::filesystem::path find_model(const std::string& name);

/// The folder with the shipped data (`longbench`, `jieba`, `demo`): `$KVEVICT_DATA`, else beside the
/// installed program (`../share/kvevict`), else the source tree that built it. Errors: kNotFound.
[[nodiscard]] std::filesystem::path data_folder();

}  // namespace kvevict
