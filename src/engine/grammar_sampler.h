#pragma once

#include <string>

#include "engine/llama_handles.h"
#include "kvevict/grammar.h"
#include "kvevict/model.h"

namespace kvevict {

/// Where an answer is in its grammar, and which tokens may come next.
class GrammarSampler {
 public:
  /// Errors: as `require_grammar`; kInvalidArgument for a trigger that is no regular expression, and for text
  /// before the answer that the grammar does not begin with. `model` must outlive the sampler.
  GrammarSampler(const Model& model, const std::string& grammar, const GrammarStart& start = {});

  /// Whether `token` may come next. A token that ends a generation may if the grammar is at an end.
  [[nodiscard]] bool allows(Token token) const;

  /// Gives the logit −∞ to every candidate that may not come next. O(candidates x grammar). Errors:
  /// kUnsupported if there is none left.
  void restrict(llama_token_data_array& candidates) const;

  /// Goes on behind `token`. REQUIRES: `allows(token)`.
  void accept(Token token);

 private:
  LlamaSamplerHandle sampler_;
};

}  // namespace kvevict
