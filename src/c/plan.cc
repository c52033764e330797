#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "c/guard.h"
#include "c/handles.h"

using kvevict::Error;
using kvevict::ErrorCode;
using kvevict::KeepSet;
using kvevict::TokenRange;
using kvevict::c::guarded;
using kvevict::c::guarded_handle;
using kvevict::c::require;

namespace {

/// The number of the set that `layer` has.
std::size_t set_number(const kvevict_plan& plan, int64_t layer) {
  const auto n_layers = static_cast<int64_t>(plan.plan.n_layers());
  if (layer < 0 || (n_layers > 0 && layer >= n_layers)) {
    throw Error(ErrorCode::kInvalidArgument,
                "the plan has no layer " + std::to_string(layer) + ": a number from 0 " +
                    (n_layers > 0 ? "to " + std::to_string(n_layers - 1) : "on") + " is needed",
                "layer");
  }
  return plan.plan.set_number(static_cast<std::size_t>(layer));
}

void lend(const kvevict_plan& plan) {
  std::vector<std::vector<kvevict_range>> lent;
  for (const KeepSet& set : plan.plan.distinct_sets()) {
    std::vector<kvevict_range>& ranges = lent.emplace_back();
    for (const TokenRange& range : set.ranges()) ranges.push_back({range.begin, range.end});
  }
  plan.lent = std::move(lent);
}

void write_indices(const KeepSet& set, int64_t* indices) {
  for (const TokenRange& range : set.ranges()) {
    for (int64_t index = range.begin; index < range.end; ++index) *indices++ = index;
  }
}

}  // namespace

kvevict_status kvevict_plan_make(const kvevict_policy* policy, int64_t n_tokens_seen, int32_t schedule,
                                 int64_t n_layers, kvevict_plan** plan) {
  constexpr const char* kFunction = "kvevict_plan_make";
  return guarded_handle(plan, kFunction, "plan", [&] {
    require(policy, kFunction, "policy");
    kvevict::PolicyState state = kvevict::c::fresh_state(schedule, n_layers);
    return std::make_unique<kvevict_plan>(policy->policy->plan(n_tokens_seen, state));
  });
}

void kvevict_plan_free(kvevict_plan* plan) {
  const std::unique_ptr<kvevict_plan> owner(plan);
}

kvevict_status kvevict_plan_layers(const kvevict_plan* plan, int64_t* n_layers) {
  constexpr const char* kFunction = "kvevict_plan_layers";
  return guarded([&] {
    require(plan, kFunction, "plan");
    require(n_layers, kFunction, "n_layers");
    *n_layers = static_cast<int64_t>(plan->plan.n_layers());
  });
}

kvevict_status kvevict_plan_count(const kvevict_plan* plan, int64_t* n_tokens) {
  constexpr const char* kFunction = "kvevict_plan_count";
  return guarded([&] {
    require(plan, kFunction, "plan");
    require(n_tokens, kFunction, "n_tokens");
    *n_tokens = plan->plan.count();
  });
}

kvevict_status kvevict_plan_ranges(const kvevict_plan* plan, int64_t layer, const kvevict_range** ranges,
                                   size_t* n_ranges) {
  constexpr const char* kFunction = "kvevict_plan_ranges";
  return guarded([&] {
    require(plan, kFunction, "plan");
    require(ranges, kFunction, "ranges");
    require(n_ranges, kFunction, "n_ranges");
    const std::size_t number = set_number(*plan, layer);
    if (plan->lent.empty()) lend(*plan);
    *ranges = plan->lent[number].data();
    *n_ranges = plan->lent[number].size();
  });
}

kvevict_status kvevict_plan_indices(const kvevict_plan* plan, int64_t layer, int64_t* indices,
                                    size_t capacity, size_t* n_tokens) {
  constexpr const char* kFunction = "kvevict_plan_indices";
  return guarded([&] {
    require(plan, kFunction, "plan");
    require(n_tokens, kFunction, "n_tokens");
    const KeepSet& set = plan->plan.distinct_sets()[set_number(*plan, layer)];
    const auto count = static_cast<std::size_t>(set.count());
    *n_tokens = count;
    if (indices == nullptr) return;
    if (count > capacity) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the layer keeps " + std::to_string(count) + " tokens, and there is room for " +
                      std::to_string(capacity) + ": ask for their number first",
                  "capacity");
    }
    write_indices(set, indices);
  });
}

kvevict_status kvevict_plan_append(kvevict_plan* plan, int64_t begin, int64_t end) {
  return guarded([&] {
    require(plan, "kvevict_plan_append", "plan");
    if (begin < 0 || end < begin) {
      throw Error(ErrorCode::kInvalidArgument, "the range [" + std::to_string(begin) + ", " +
                                                   std::to_string(end) +
                                                   ") cannot be appended: 0 <= begin <= end is needed");
    }
    kvevict::KeepPlan longer = plan->plan;
    longer.append(begin, end);
    plan->plan = std::move(longer);
    plan->lent.clear();
  });
}
