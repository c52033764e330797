#pragma once

#include <memory>

#include "archs/difference.h"
#include "kvevict/model.h"

namespace kvevict::test {

/// Strategies that choose by keys: the keys of the first layer are the same wherever their token stands, and
/// what keydiff keeps gives llama.cpp's own logits without the cells of the others.
void check_keys(const std::shared_ptr<const Model>& model, LargestDifference& difference);

}  // namespace kvevict::test
