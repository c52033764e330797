#include "policy/snapkv.h"

#include "kvevict/error.h"
#include "policy/score_policy.h"

namespace kvevict {

std::unique_ptr<const Policy> make_snapkv(const StrategySpec& spec) {
  if (spec.config.recent_tokens < spec.window) {
    throw Error(ErrorCode::kInvalidArgument,
                "snapkv keeps " + std::to_string(spec.config.recent_tokens) +
                    " recent tokens, and the window that votes has " + std::to_string(spec.window) +
                    ": the window must be kept, recent_tokens of at least as many are needed");
  }
  return std::make_unique<ScorePolicy>(
      spec, ScoreRule{.request = {.n_last_queries = static_cast<int>(spec.window)}, .pool = spec.pool});
}

}  // namespace kvevict
