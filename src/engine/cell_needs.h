#pragma once

#include <cstdint>

#include "kvevict/policy.h"

namespace kvevict {

/// How many cells a sequence needs: the rules that a Session follows and that are told beforehand
/// (`memory_needed`). Counts are tokens per layer, before llama.cpp's padding.

/// For a bounded append under a budget: the budget, and a chunk or the decode slack on top.
[[nodiscard]] std::int64_t cells_in_stream(std::int64_t budget, std::int64_t n_chunk, std::int64_t n_slack);

/// From an eviction on that leaves `n_now` tokens, while at most `n_to_come` more come. `state`: of the
/// policy, after the plan. Throws as `Policy::budget_tokens`.
[[nodiscard]] std::int64_t cells_after_eviction(const Policy& policy, const PolicyState& state,
                                                std::int64_t n_slack, std::int64_t n_now,
                                                std::int64_t n_to_come);

/// For a fresh sequence of `n_now` tokens of which the policy keeps all, while at most `n_to_come` more come.
/// Makes O(log n_to_come) plans and throws as they do.
[[nodiscard]] std::int64_t cells_before_eviction(const Policy& policy, std::int64_t n_layers,
                                                 std::int64_t n_slack, std::int64_t n_now,
                                                 std::int64_t n_to_come);

}  // namespace kvevict
