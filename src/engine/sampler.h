#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/grammar_sampler.h"
#include "engine/llama_handles.h"
#include "kvevict/model.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// A chain of llama.cpp's samplers over a row of logits. Between tokens it remembers the last ones alone, for
/// the penalties, and its place in the grammar: what is drawn depends on the seed, the token's index,
/// the logits and those, so a generation that is stopped, saved and gone on with draws the same tokens.
class Sampler {
 public:
  /// Errors: kInvalidArgument that names the option which is out of its range; those of `require_grammar`.
  /// `recent`: tokens that came before. `grammar`: empty for none. `model` must outlive the sampler.
  Sampler(const SamplingOptions& options, const Model& model, std::span<const Token> recent,
          const std::string& grammar = {}, const GrammarStart& grammar_start = {});

  /// Draws the token with original index `index` from `logits`, `[n_vocab]`. O(n_vocab). Errors: kUnsupported
  /// if the grammar allows none.
  [[nodiscard]] Token sample(std::span<const float> logits, std::int64_t index);

 private:
  void add_penalties(const SamplingOptions& options, const Model& model, std::span<const Token> recent);

  void fill(std::span<const float> logits);
  [[nodiscard]] Token choose(std::int64_t index);

  LlamaSamplerHandle chain_;
  std::optional<GrammarSampler> grammar_;
  bool is_greedy_;
  std::uint32_t seed_;
  std::vector<llama_token_data> candidates_;
  llama_token_data_array array_{};  // of `candidates_`
};

}  // namespace kvevict
