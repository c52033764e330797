#pragma once

#include <memory>

#include "engine/key_rotator.h"
#include "kvevict/session_options.h"

namespace kvevict {

class Model;

/// A KeyRotator that was held against llama.cpp: a few tokens are decoded in a context of their own with
/// `options`, shifted by llama.cpp, and its keys compared with ours, row by row and layer by layer.
/// Errors: kUnsupported if they differ (the sentence says by how much), and those of KeyRotator.
[[nodiscard]] std::unique_ptr<KeyRotator> checked_key_rotator(std::shared_ptr<const Model> model,
                                                              const SessionOptions& options);

}  // namespace kvevict
