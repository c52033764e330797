#include "serving/strategy_limit.h"

#include <string>

#include "kvevict/error.h"

namespace kvevict::serving {

std::optional<std::int64_t> stream_budget(const ModelRun& run) {
  return run.policy->budget_tokens(
      PolicyState{.schedule = Schedule::kStreaming, .n_layers = run.model->info().n_cache_layers()});
}

void require_within(const ModelRun& run, const ModelRun& own) {
  const std::optional<std::int64_t> most = stream_budget(own), budget = stream_budget(run);
  if (!most || (budget && *budget <= *most)) return;
  throw Error(ErrorCode::kInvalidArgument,
              "the strategy " + to_string(run.policy->spec()) + " holds " +
                  (budget ? std::to_string(*budget) : "all") +
                  " tokens, and a conversation of this server may hold " + std::to_string(*most),
              "strategy");
}

}  // namespace kvevict::serving
