#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "c/guard.h"
#include "c/handles.h"
#include "kvevict/registry.h"
#include "kvevict/version.h"

using kvevict::PolicyInfo;
using kvevict::PositionMode;
using kvevict::c::guarded;
using kvevict::c::guarded_handle;
using kvevict::c::require;

static_assert(KVEVICT_ABSOLUTE == static_cast<int>(PositionMode::kAbsolute));
static_assert(KVEVICT_PACKED == static_cast<int>(PositionMode::kPacked));
static_assert(KVEVICT_AUTO == static_cast<int>(PositionMode::kAuto));

int32_t kvevict_c_version(void) {
  return KVEVICT_C_VERSION;
}

const char* kvevict_version(void) {
  return kvevict::version();
}

kvevict_status kvevict_strategy_count(size_t* n_strategies) {
  return guarded([&] {
    require(n_strategies, "kvevict_strategy_count", "n_strategies");
    *n_strategies = kvevict::all_policies().size();
  });
}

kvevict_status kvevict_strategy_name(size_t index, const char** name) {
  constexpr const char* kFunction = "kvevict_strategy_name";
  return guarded([&] {
    require(name, kFunction, "name");
    const std::vector<std::reference_wrapper<const PolicyInfo>> rows = kvevict::all_policies();
    if (index >= rows.size()) {
      throw kvevict::Error(kvevict::ErrorCode::kInvalidArgument,
                           "there is no strategy number " + std::to_string(index) + ": they are 0 to " +
                               std::to_string(rows.size() - 1),
                           "index");
    }
    *name = rows[index].get().name.c_str();
  });
}

kvevict_status kvevict_policy_make(const char* strategy, kvevict_policy** policy) {
  constexpr const char* kFunction = "kvevict_policy_make";
  return guarded_handle(policy, kFunction, "policy", [&] {
    require(strategy, kFunction, "strategy");
    std::shared_ptr<const kvevict::Policy> made = kvevict::make_policy(std::string_view(strategy));
    std::string text = to_string(made->spec());
    std::string name = made->versioned_name();
    return std::make_unique<kvevict_policy>(
        kvevict_policy{std::move(made), std::move(text), std::move(name)});
  });
}

void kvevict_policy_free(kvevict_policy* policy) {
  const std::unique_ptr<kvevict_policy> owner(policy);
}

kvevict_status kvevict_policy_describe(const kvevict_policy* policy, kvevict_policy_info* info) {
  constexpr const char* kFunction = "kvevict_policy_describe";
  return guarded([&] {
    require(policy, kFunction, "policy");
    require(info, kFunction, "info");
    const kvevict::Policy& rule = *policy->policy;
    const std::optional<PositionMode> positions = rule.required_positions();
    *info = {.strategy = policy->strategy.c_str(),
             .name = policy->name.c_str(),
             .keeps_all = rule.keeps_all(),
             .is_per_layer = rule.is_per_layer(),
             .needs_cache = rule.looks_into_cache(),
             .positions = positions ? static_cast<std::int32_t>(*positions) : KVEVICT_ANY_POSITIONS,
             .n_newest_kept = rule.n_newest_kept()};
  });
}

kvevict_status kvevict_policy_budget(const kvevict_policy* policy, int32_t schedule, int64_t n_layers,
                                     int64_t* n_tokens) {
  constexpr const char* kFunction = "kvevict_policy_budget";
  return guarded([&] {
    require(policy, kFunction, "policy");
    require(n_tokens, kFunction, "n_tokens");
    const kvevict::PolicyState state = kvevict::c::fresh_state(schedule, n_layers);
    *n_tokens = policy->policy->budget_tokens(state).value_or(KVEVICT_NO_BUDGET);
  });
}
