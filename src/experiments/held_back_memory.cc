#include "experiments/held_back_memory.h"

#include <algorithm>

#include "base/units.h"
#include "engine/kv_size.h"
#include "kvevict/bounded_schedule.h"

namespace kvevict::eval {
namespace {

std::int64_t tokens_kept(const Model& model, const Policy& policy, const SessionOptions& options,
                         std::int64_t n_context) {
  PolicyState state{.n_layers = model.info().n_cache_layers()};
  if (options.prefill == PrefillMode::kFull) return count_kept_at_once(policy, state, n_context);
  state.schedule = Schedule::kStreaming;
  return std::min(n_context, policy.budget_tokens(state).value_or(n_context));
}

}  // namespace

MemoryNeeded memory_needed_held_back(const Model& model, const Policy& policy, const SessionOptions& options,
                                     std::int64_t n_context, std::int64_t n_on_top) {
  constexpr std::int64_t kOfCell = 32, kOfLayer = 64;  // what a copy of rows has beside them, and more
  MemoryNeeded needed =
      memory_needed(model, policy, options, {.n_prompt = n_context, .n_new = 0, .n_after_eviction = 0});
  const std::int64_t n_kept = tokens_kept(model, policy, options, n_context);
  const std::int64_t n_cells = padded_cells(n_kept + n_on_top);
  needed.n_tokens_held = std::max(needed.n_tokens_held, n_kept + n_on_top);
  needed.n_cells = std::max(needed.n_cells, n_cells);
  needed.kv_bytes = kv_bytes_of(model, options, needed.n_cells);
  needed.kv_bytes_after = kv_bytes_of(model, options, n_cells);
  std::int64_t n_beside = 0;
  if (n_kept < n_context) {  // the kept rows move to a context with room for more
    n_beside = n_kept * (model.kv_bytes_per_token(options.type_k, options.type_v) + kOfCell) +
               kOfLayer * (1 + model.info().n_cache_layers());
  }
  needed.kv_bytes_peak = std::max(needed.kv_bytes_peak, needed.kv_bytes_after + n_beside);
  return needed;
}

}  // namespace kvevict::eval
