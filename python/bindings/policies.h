#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kvevict/policy.h"

namespace kvevict::python {

/// What `kvevict.Policy` is. Immutable.
struct PolicyHandle {
  std::shared_ptr<const Policy> policy;

  [[nodiscard]] std::string strategy() const { return to_string(policy->spec()); }
};

/// A fresh state for a sequence. Throws `Error(kInvalidArgument)` for an unknown schedule and for a number of
/// layers that no model has.
[[nodiscard]] PolicyState fresh_state(const std::string& schedule, std::int64_t n_layers);

/// "one_shot", "streaming".
[[nodiscard]] std::string to_string(Schedule schedule);

/// Throws `Error(kInvalidArgument)` for less than 0 tokens.
void require_tokens(std::int64_t n_tokens_seen);

}  // namespace kvevict::python
