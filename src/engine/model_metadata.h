#pragma once

#include <optional>
#include <string>

#include "engine/llama_handles.h"

namespace kvevict {

/// A value of the metadata of `model`'s file as llama.cpp shows it, up to 255 bytes; nothing if it is absent
/// or a list.
[[nodiscard]] std::optional<std::string> metadata_of(const llama_model* model, const std::string& key);

}  // namespace kvevict
