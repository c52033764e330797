#include "policy/h2o.h"

#include "policy/score_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_h2o(const StrategySpec& spec) {
  return std::make_unique<ScorePolicy>(spec, ScoreRule{.request = {.n_last_queries = 0}});
}

}  // namespace kvevict
