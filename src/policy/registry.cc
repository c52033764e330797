#include "kvevict/registry.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <shared_mutex>

#include "kvevict/error.h"
#include "policy/policies.h"
#include "policy/strategy_keys.h"

namespace kvevict {
namespace {

/// The rows of the process: a program may add to them, so this is the one place with a state of its own.
struct Registry {
  std::shared_mutex mutex;
  std::deque<PolicyInfo> rows;  // never moved: references to them stay valid

  Registry() {
    for (PolicyInfo& info : built_in_policies()) rows.push_back(std::move(info));
  }
};

Registry& registry() {
  static Registry the_registry;
  return the_registry;
}

[[noreturn]] void refuse_registration(const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "the policy cannot be registered: " + why);
}

bool is_word(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_known(const std::vector<StrategyKey>& keys, std::string_view name) {
  constexpr std::string_view kPrefill = "prefill";  // the command line's own, beside the strategy's keys
  return name == kPrefill || std::any_of(keys.begin(), keys.end(), [&](const StrategyKey& key) {
           return key.name == name || key.long_name == name;
         });
}

std::vector<StrategyKey> keys_of(const std::deque<PolicyInfo>& rows) {
  std::vector<StrategyKey> keys(built_in_keys().begin(), built_in_keys().end());
  for (const PolicyInfo& info : rows) keys.insert(keys.end(), info.own_keys.begin(), info.own_keys.end());
  return keys;
}

/// `rows`: those that are registered already.
void require_sound(const PolicyInfo& info, const std::deque<PolicyInfo>& rows) {
  for (const PolicyInfo& known : rows) {
    if (known.name == info.name) refuse_registration("there is a strategy " + info.name + " already");
  }
  if (!is_word(info.name))
    refuse_registration("its name \"" + info.name + "\" is not of letters, digits and \"_\"");
  if (!info.make) refuse_registration(info.name + " has no function that makes it");
  std::vector<StrategyKey> keys = keys_of(rows);
  for (const StrategyKey& key : info.own_keys) {
    if (!is_word(key.name) || !is_word(key.long_name) || is_known(keys, key.name) ||
        is_known(keys, key.long_name))
      refuse_registration("its key \"" + key.name + "\" has no name, or one that is taken");
    if (key.member != nullptr)
      refuse_registration("its key \"" + key.name + "\" names a member of StrategySpec");
    keys.push_back(key);
  }
  for (const std::string& name : info.keys) {
    if (std::none_of(keys.begin(), keys.end(), [&](const StrategyKey& key) { return key.name == name; }))
      refuse_registration("there is no key \"" + name + "\": declare it as a key of its own");
  }
}

}  // namespace

std::vector<std::reference_wrapper<const PolicyInfo>> all_policies() {
  const std::shared_lock lock(registry().mutex);
  return {registry().rows.begin(), registry().rows.end()};
}

std::vector<StrategyKey> strategy_keys() {
  const std::shared_lock lock(registry().mutex);
  return keys_of(registry().rows);
}

const PolicyInfo& policy_info(std::string_view name) {
  std::string known;
  for (const PolicyInfo& info : all_policies()) {
    if (info.name == name) return info;
    known += (known.empty() ? "" : ", ") + info.name;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "there is no strategy \"" + std::string(name) + "\": known are " + known, "strategy");
}

std::map<std::string, std::int64_t> result_values(const StrategySpec& spec) {
  const PolicyInfo& info = policy_info(spec.name);
  std::map<std::string, std::int64_t> values;
  for (const StrategyKey& key : strategy_keys()) {
    const std::int64_t value = key.value_of(spec);
    const bool is_usual_word = !key.words.empty() && value == key.otherwise;  // older files have no words
    if (!info.uses(key.name) || is_usual_word) continue;
    values[key.name == "budget" ? "middle_budget_tokens" : key.long_name] = value;
  }
  return values;
}

void register_policy(PolicyInfo info) {
  const std::unique_lock lock(registry().mutex);
  require_sound(info, registry().rows);
  registry().rows.push_back(std::move(info));
}

std::shared_ptr<const Policy> make_policy(const StrategySpec& spec) {
  validate(spec);
  return policy_info(spec.name).make(spec);
}

std::shared_ptr<const Policy> make_policy(std::string_view strategy) {
  return make_policy(parse_strategy(strategy));
}

}  // namespace kvevict
