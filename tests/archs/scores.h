#pragma once

#include <memory>

#include "archs/difference.h"
#include "kvevict/model.h"

namespace kvevict::test {

/// Strategies that choose by attention: the scores are the column sums of the whole matrix as llama.cpp alone
/// computes it, and what H2O and TOVA keep gives llama.cpp's own logits without the cells of the others.
void check_scores(const std::shared_ptr<const Model>& model, LargestDifference& difference);

}  // namespace kvevict::test
