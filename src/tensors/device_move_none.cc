#include "kvevict/error.h"
#include "tensors/device_move.h"

#ifndef KVEVICT_WITH_CUDA

namespace kvevict {

void move_on_device(std::span<const TensorMove> /*tensors*/, void* /*cuda_stream*/) {
  throw Error(
      ErrorCode::kUnsupported,
      "the tensors are in device memory, but this build has no CUDA: configure it with -DKVEVICT_CUDA=ON");
}

}  // namespace kvevict

#endif
