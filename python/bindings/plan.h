#pragma once

#include <cstdint>
#include <optional>

#include "kvevict/keep_plan.h"

namespace kvevict::python {

/// What `kvevict.Plan` is: which of `n_tokens` tokens each of `n_layers` layers keeps.
struct Plan {
  KeepPlan kept;
  std::int64_t n_tokens = 0;
  std::int64_t n_layers = 1;

  /// The set of all layers. Throws `Error(kInvalidArgument)` if they differ.
  [[nodiscard]] const KeepSet& only_set() const;

  /// The set of a layer, of all if none is named. Throws as `only_set`, and for a layer that is not there.
  [[nodiscard]] const KeepSet& set_of(std::optional<std::int64_t> layer) const;
};

}  // namespace kvevict::python
