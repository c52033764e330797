#pragma once

#include <memory>

#include "archs/difference.h"
#include "kvevict/model.h"

namespace kvevict::test {

/// Packed positions, after one eviction and before each chunk of a text: against llama.cpp's own shift of the
/// same cells, if it has one for the model. That shift is wrong for some models (it rotates keys that never
/// were), so two things are checked that know nothing of it: the keys of the first layer against those of the
/// same tokens decoded where they moved to, and that nothing changes if all tokens that are kept move by as
/// much.
void check_packed(const std::shared_ptr<const Model>& model, LargestDifference& difference);

}  // namespace kvevict::test
