#pragma once

#include <memory>

#include "engine/key_rotator.h"
#include "kvevict/session_options.h"

namespace kvevict {

class Model;

/// A KeyRotator that was held against the model itself: a few tokens are decoded alone, in a context of their
/// own with `options`, at two positions each, and the keys of all layers at the one rotated to the other.
/// Errors: kUnsupported if they differ, and those of KeyRotator and of `require_known_rows`.
[[nodiscard]] std::unique_ptr<KeyRotator> checked_key_rotator(const std::shared_ptr<const Model>& model,
                                                              const SessionOptions& options);

/// The same for keys as f32 numbers, in the layers without a sliding window; null if ggml's rotation differs
/// from the model's. Errors: as of `LoneToken`.
[[nodiscard]] std::unique_ptr<KeyRotator> checked_f32_rotator(const std::shared_ptr<const Model>& model,
                                                              const SessionOptions& options);

/// Makes sure that the rows of each layer can be told apart in what llama.cpp hands out, before anything is
/// decoded for a user: one token is, in a context of its own. Errors: kUnsupported.
void require_known_rows(const std::shared_ptr<const Model>& model, const SessionOptions& options);

}  // namespace kvevict
