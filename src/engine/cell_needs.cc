#include "engine/cell_needs.h"

#include <algorithm>
#include <optional>

#include "kvevict/bounded_schedule.h"

namespace kvevict {
namespace {

/// llama.cpp wants a token's predecessor in the cache (`Session::evict`).
std::int64_t n_predecessors(const Policy& policy) {
  return policy.n_newest_kept() == 1 ? 1 : 0;
}

bool keeps_all_of(const Policy& policy, std::int64_t n_layers, std::int64_t n_tokens) {
  PolicyState state{.n_layers = n_layers};
  return count_kept_at_once(policy, state, n_tokens) == n_tokens;
}

}  // namespace

std::int64_t cells_in_stream(std::int64_t budget, std::int64_t n_chunk, std::int64_t n_slack) {
  return budget + std::max(n_chunk, n_slack);
}

std::int64_t cells_after_eviction(const Policy& policy, const PolicyState& state, std::int64_t n_slack,
                                  std::int64_t n_now, std::int64_t n_to_come) {
  const std::int64_t n_all = n_now + n_to_come;
  const std::optional<std::int64_t> budget = policy.budget_tokens(state);
  return budget ? std::max(n_now, std::min(n_all, *budget + n_slack + n_predecessors(policy))) : n_all;
}

std::int64_t cells_before_eviction(const Policy& policy, std::int64_t n_layers, std::int64_t n_slack,
                                   std::int64_t n_now, std::int64_t n_to_come) {
  const std::optional<std::int64_t> budget = policy.budget_tokens({.n_layers = n_layers});
  if (!budget) return n_now + n_to_come;
  std::int64_t n_kept = n_now;                 // so many are kept whole …
  std::int64_t n_cut = n_now + n_to_come + 1;  // … and of so many some are not, or they never come
  while (n_cut - n_kept > 1) {
    const std::int64_t n = n_kept + (n_cut - n_kept) / 2;
    (keeps_all_of(policy, n_layers, n) ? n_kept : n_cut) = n;
  }
  return std::min(n_now + n_to_come, std::max(n_kept, *budget + n_slack) + n_predecessors(policy));
}

}  // namespace kvevict
