#pragma once

#include <cstdint>

#include "kvevict/keep_set.h"

namespace kvevict {

/// Original tokens that are held at consecutive positions: index `indices.begin + i` at
/// position `first_position + i`, in every layer.
struct HeldRun {
  TokenRange indices;
  std::int64_t first_position = 0;
  friend bool operator==(const HeldRun&, const HeldRun&) = default;
};

}  // namespace kvevict
