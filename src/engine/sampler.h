#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/llama_handles.h"
#include "kvevict/model.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// A chain of llama.cpp's samplers over a row of logits. Between tokens it remembers the last ones alone, for
/// the repeat penalty: what is drawn depends on the seed, the token's index, the logits and those, so a
/// generation that is stopped, saved and gone on with draws the same tokens.
class Sampler {
 public:
  /// Throws `Error(kInvalidArgument)` that names the option which is out of its range.
  /// `recent`: tokens that came before.
  Sampler(const SamplingOptions& options, const Model& model, std::span<const Token> recent);

  /// Draws the token with original index `index` from `logits`, `[n_vocab]`. O(n_vocab).
  [[nodiscard]] Token sample(std::span<const float> logits, std::int64_t index);

 private:
  void add_penalties(const SamplingOptions& options, const Model& model, std::span<const Token> recent);

  LlamaSamplerHandle chain_;
  bool is_greedy_;
  std::uint32_t seed_;
  std::vector<llama_token_data> candidates_;
};

}  // namespace kvevict
