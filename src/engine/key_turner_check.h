#pragma once

#include <memory>

#include "engine/key_turner.h"
#include "kvevict/session_options.h"

namespace kvevict {

class Model;

/// A KeyTurner that was held against llama.cpp: a few tokens are decoded in a context of their own with
/// `options`, shifted by llama.cpp, and its keys compared with ours, row by row and layer by layer.
/// Errors: kUnsupported where they differ (the sentence says by how much), and those of KeyTurner.
[[nodiscard]] std::shared_ptr<const KeyTurner> checked_key_turner(std::shared_ptr<const Model> model,
                                                                  const SessionOptions& options);

}  // namespace kvevict
