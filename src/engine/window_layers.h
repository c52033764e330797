#pragma once

#include <vector>

#include "engine/llama_handles.h"

namespace kvevict {

/// The layers of `model` that have a sliding window and hold a cache, as llama.cpp counts them: it tells them
/// in its log alone, when it makes a context. Empty if there are none, or if it does not tell. Makes a small
/// context for a model that has any.
[[nodiscard]] std::vector<int> layers_with_window(llama_model* model);

}  // namespace kvevict
