#pragma once

#include <memory>

#include "archs/difference.h"
#include "kvevict/model.h"

namespace kvevict::test {

/// Three sessions of a pool, decoded in one batch: one that holds everything, one that was evicted, and one
/// that joins with its prompt in chunks; then the second goes on in another place, from a snapshot.
void check_pool(const std::shared_ptr<const Model>& model, LargestDifference& difference);

}  // namespace kvevict::test
