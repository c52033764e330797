#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "kvevict/export.h"
#include "kvevict/keep_set.h"
#include "kvevict/policy.h"

namespace KVEVICT_PUBLIC kvevict {

/// A chunk of a bounded prefill and what the cache holds when the chunk runs.
struct BoundedChunk {
  TokenRange tokens;  ///< The chunk's own tokens: each also sees those of them before it, and itself.
  KeepPlan cached;    ///< Original indices in the cache, the chunk's own not included.
};

/// What a cache that holds `held` of `n_tokens_seen` tokens keeps before the next chunk goes in: the plan for
/// the tokens seen so far, without those that are gone. The plan does not count the chunk's own tokens, so a
/// chunk of n tokens makes the cache hold at most budget + n. The one place where a bounded prefill decides:
/// the engine and the masks use it. Throws as `Policy::plan`.
[[nodiscard]] KeepPlan keep_before_chunk(const Policy& policy, PolicyState& state, const KeepPlan& held,
                                         std::int64_t n_tokens_seen);

/// Calls `visit` for every chunk of a bounded prefill of `n_tokens` >= 0 tokens into an empty
/// cache, in chunks of `n_chunk` >= 1 tokens (the last may be shorter), in order. Token i of a chunk
/// attends to token j exactly if j is in `cached`, or j is in the chunk and j <= i.
/// `n_layers`: of the model, for a policy whose plans differ by layer. Memory: one chunk's sets.
/// Throws as `Policy::plan`, for counts out of their range, and for a policy that needs scores
/// or keys (kUnsupported: only a model that runs has them).
void for_each_bounded_chunk(const Policy& policy, std::int64_t n_tokens, std::int64_t n_chunk,
                            std::int64_t n_layers, const std::function<void(const BoundedChunk&)>& visit);

/// Tokens per layer that the first plan for `n_tokens` tokens keeps. What the plan freezes is in `state`
/// afterwards. A policy that chooses by attention or keys always fills its budget, so no plan is made for it.
/// Throws as `Policy::plan`.
[[nodiscard]] std::int64_t count_kept_at_once(const Policy& policy, PolicyState& state,
                                              std::int64_t n_tokens);

/// Tokens by which a cache may outgrow the budget of `policy` between two evictions while decoding. `n_slack`
/// if an eviction costs more than removing cells, because it rotates keys, rearranges rows, collects
/// attention or reads keys: the cost is then paid once for so many tokens. Else 0.
[[nodiscard]] std::int64_t decode_slack(const Policy& policy, PositionMode positions,
                                        std::int64_t n_slack) noexcept;

/// Throws `Error(kInvalidArgument)` for a policy that drops tokens but has no bound while they stream in.
void require_bound(const Policy& policy, std::int64_t n_layers);

}  // namespace kvevict
