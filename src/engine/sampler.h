#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/llama_handles.h"
#include "kvevict/model.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// A chain of llama.cpp's samplers over a row of logits. Keeps no state between tokens: what is
/// drawn depends on the seed, the token's index and the logits, so a generation that is stopped,
/// saved and gone on with draws the same tokens.
class Sampler {
 public:
  /// Throws `Error(kInvalidArgument)` that names the option which is out of its range.
  explicit Sampler(const SamplingOptions& options);

  /// Draws the token with original index `index` from `logits`, `[n_vocab]`. O(n_vocab).
  [[nodiscard]] Token sample(std::span<const float> logits, std::int64_t index);

 private:
  LlamaSamplerHandle chain_;
  bool is_greedy_;
  std::uint32_t seed_;
  std::vector<llama_token_data> candidates_;
};

}  // namespace kvevict
