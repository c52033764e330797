#pragma once

#include <vector>

#include "kvevict/keep_plan.h"

namespace kvevict {

/// What a policy wants to know about the attention that cached tokens get.
struct ScoreRequest {
  /// The last so many queries count; 0: every query since the token was written.
  int n_last_queries = 0;

  friend bool operator==(const ScoreRequest&, const ScoreRequest&) = default;
};

/// Attention that each cached token has had: probabilities after the softmax, added up over the
/// queries that were asked for and averaged over the query heads.
struct TokenScores {
  KeepPlan held;  ///< What the cache holds, in original indices.
  /// `[layer][row]`: row r is the r-th token of `held.layer(layer)`.
  std::vector<std::vector<float>> by_layer;
};

}  // namespace kvevict
