#include "policy/tova.h"

#include "policy/score_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_tova(const StrategySpec& spec) {
  return std::make_unique<ScorePolicy>(spec, ScoreRule{.request = {.n_last_queries = 1}});
}

}  // namespace kvevict
