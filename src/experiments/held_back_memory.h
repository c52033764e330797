#pragma once

#include "kvevict/memory.h"

namespace kvevict::eval {

/// What a run holds whose question and answer come on top of the budget: `memory_needed` for the context,
/// then `n_on_top` tokens that no eviction follows. `options`: resolved. Never less than the run needs.
/// Errors: those of `memory_needed`.
[[nodiscard]] MemoryNeeded memory_needed_held_back(const Model& model, const Policy& policy,
                                                   const SessionOptions& options, std::int64_t n_context,
                                                   std::int64_t n_on_top);

}  // namespace kvevict::eval
