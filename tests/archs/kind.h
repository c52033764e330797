#pragma once

#include <filesystem>
#include <string>

namespace kvevict::test {

/// What llama.cpp keeps of the tokens of a model, and how it places them. By llama.cpp's own word and the
/// model's metadata, so that models which kvevict refuses have one too.
struct KindOfModel {
  std::string architecture;
  std::string memory;     ///< "attention", "sliding window", "hybrid", "recurrent", …
  std::string positions;  ///< "rotary", "M-RoPE", "ALiBi", "other".
};

/// Throws `std::runtime_error` if llama.cpp does not load it.
[[nodiscard]] KindOfModel kind_of_model(const std::filesystem::path& path);

}  // namespace kvevict::test
