#pragma once

#include <span>
#include <vector>

#include "engine/llama_handles.h"
#include "kvevict/model.h"
#include "kvevict/sampling.h"

namespace kvevict {

/// A chain of llama.cpp's samplers over a row of logits.
class Sampler {
 public:
  /// Throws `Error(kInvalidArgument)` that names the option which is out of its range.
  explicit Sampler(const SamplingOptions& options);

  /// Draws a token from `logits`, `[n_vocab]`. O(n_vocab).
  [[nodiscard]] Token sample(std::span<const float> logits);

 private:
  LlamaSamplerHandle chain_;
  std::vector<llama_token_data> candidates_;
};

}  // namespace kvevict
