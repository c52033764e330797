#include "engine/model_metadata.h"

#include <array>

namespace kvevict {

std::optional<std::string> metadata_of(const llama_model* model, const std::string& key) {
  std::array<char, 256> text{};
  if (llama_model_meta_val_str(model, key.c_str(), text.data(), text.size()) < 0) return std::nullopt;
  return std::string(text.data());
}

}  // namespace kvevict
