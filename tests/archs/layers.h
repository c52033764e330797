#pragma once

#include <memory>

#include "archs/difference.h"
#include "kvevict/model.h"

namespace kvevict::test {

/// Other tokens in each layer. A plan that names the same set for each layer gives llama.cpp's own logits
/// without the cells of the others. Under the ladder each layer holds the K and V rows of its plan, bit for
/// bit as they were.
void check_layers(const std::shared_ptr<const Model>& model, LargestDifference& difference);

}  // namespace kvevict::test
