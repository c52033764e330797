#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "c/guard.h"
#include "c/handles.h"

using kvevict::KeepPlan;
using kvevict::KeepSet;
using kvevict::c::guarded;
using kvevict::c::guarded_handle;
using kvevict::c::require;

kvevict_status kvevict_sequence_make(const kvevict_policy* policy, int32_t schedule, int64_t n_layers,
                                     kvevict_sequence** sequence) {
  constexpr const char* kFunction = "kvevict_sequence_make";
  return guarded_handle(sequence, kFunction, "sequence", [&] {
    require(policy, kFunction, "policy");
    return std::make_unique<kvevict_sequence>(
        kvevict_sequence{policy->policy, kvevict::c::fresh_state(schedule, n_layers)});
  });
}

void kvevict_sequence_free(kvevict_sequence* sequence) {
  const std::unique_ptr<kvevict_sequence> owner(sequence);
}

kvevict_status kvevict_sequence_copy(const kvevict_sequence* sequence, kvevict_sequence** copy) {
  constexpr const char* kFunction = "kvevict_sequence_copy";
  return guarded_handle(copy, kFunction, "copy", [&] {
    require(sequence, kFunction, "sequence");
    return std::make_unique<kvevict_sequence>(*sequence);
  });
}

kvevict_status kvevict_sequence_plan(kvevict_sequence* sequence, int64_t n_tokens_seen, kvevict_plan** plan) {
  constexpr const char* kFunction = "kvevict_sequence_plan";
  return guarded_handle(plan, kFunction, "plan", [&] {
    require(sequence, kFunction, "sequence");
    return std::make_unique<kvevict_plan>(sequence->policy->plan(n_tokens_seen, sequence->state));
  });
}

kvevict_status kvevict_sequence_budget(const kvevict_sequence* sequence, int64_t* n_tokens) {
  constexpr const char* kFunction = "kvevict_sequence_budget";
  return guarded([&] {
    require(sequence, kFunction, "sequence");
    require(n_tokens, kFunction, "n_tokens");
    *n_tokens = sequence->policy->budget_tokens(sequence->state).value_or(KVEVICT_NO_BUDGET);
  });
}

kvevict_status kvevict_sequence_trim(kvevict_sequence* sequence, int64_t n_tokens, const kvevict_plan* held) {
  constexpr const char* kFunction = "kvevict_sequence_trim";
  return guarded([&] {
    require(sequence, kFunction, "sequence");
    require(held, kFunction, "held");
    const KeepPlan left = held->plan.intersect(KeepPlan(KeepSet::all(n_tokens)));
    if (sequence->state.memory) sequence->state.memory->trim(n_tokens, left);
  });
}
