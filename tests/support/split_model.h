#pragma once

#include <filesystem>
#include <vector>

namespace kvevict::test {

/// Writes the model `from` to `folder` as `n_parts` parts, m-00001-of-…, the first of them without tensors,
/// as llama.cpp's gguf-split does with --no-tensor-first-split. Returns their paths.
[[nodiscard]] std::vector<std::filesystem::path> split_model(const std::filesystem::path& from,
                                                             const std::filesystem::path& folder,
                                                             int n_parts);

}  // namespace kvevict::test
