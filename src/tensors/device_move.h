#pragma once

#include <span>

#include "tensors/move_tensors.h"

namespace kvevict {

/// Queues on the CUDA stream the move of the kept rows of device tensors, in place, in one launch
/// for all of them. Errors: kUnsupported in a build without CUDA, kEngine if CUDA refuses;
/// nothing has been queued then.
void move_on_device(std::span<const TensorMove> tensors, void* cuda_stream);

}  // namespace kvevict
