#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/policy.h"

namespace KVEVICT_PUBLIC kvevict {

/// A row of the registry: what a strategy is called, what it reads, how it is made and how it is shown. The
/// grammar, flags, help texts, pictures, `overhead` and `tune` all follow from the row.
struct PolicyInfo {
  std::string name;
  std::string summary;            ///< One line for listings.
  std::vector<std::string> keys;  ///< The values that it uses, by their names in the grammar.
  SimpleEvictConfig defaults{};
  std::map<std::string, std::int64_t> other_defaults{};  ///< Of keys for which it has others than most.
  std::function<std::unique_ptr<const Policy>(const StrategySpec& spec)> make;
  std::uint32_t colour = 0;  ///< 0xRRGGBB in every picture; 0: one by its name.
  /// Values, as the grammar has them ("4:1020"), with which it holds 1,024 tokens a layer: for comparisons.
  std::string compared_at{};
  /// Shapes worth a try that hold `n_tokens` tokens a layer; empty: `tune` does not try it.
  std::function<std::vector<StrategySpec>(std::int64_t n_tokens)> shapes{};
  /// Values that no strategy of the library has (`StrategyKey::member` null): known to the grammar from now
  /// on.
  std::vector<StrategyKey> own_keys{};
  /// Whether a total budget (`set_total_budget`) makes its recent window half of all, if that has the default
  /// of the row.
  bool halves_total_budget = false;

  /// Whether it uses the value that the grammar calls `key`.
  [[nodiscard]] bool uses(std::string_view key) const {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  }
};

/// All policies, in the order in which they are listed: the library's own, then those that were registered.
/// The rows stay valid while the program runs. Thread safe.
[[nodiscard]] std::vector<std::reference_wrapper<const PolicyInfo>> all_policies();

/// The row named `name`. Throws `Error(kInvalidArgument)` that lists the known names. Thread safe.
[[nodiscard]] const PolicyInfo& policy_info(std::string_view name);

/// The values that `spec`'s strategy uses, by the names that files of results have for them. A value that is
/// a word is the word's number, and left out where it is the usual one. Errors: those of `policy_info`.
[[nodiscard]] std::map<std::string, std::int64_t> result_values(const StrategySpec& spec);

/// Makes a policy of your own known to everything that takes a strategy by its name, in this process. Thread
/// safe. Throws `Error(kInvalidArgument)` for a name that is taken or is not of the letters, digits and "_"
/// that the grammar reads, a row without `make`, a key that is not known, and an own key whose name is taken.
void register_policy(PolicyInfo info);

}  // namespace kvevict
