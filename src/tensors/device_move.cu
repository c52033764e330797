#include "tensors/device_move.h"

#include <cuda_runtime_api.h>

#include <string>

#include "kvevict/error.h"
#include "tensors/device_kernel.cuh"
#include "tensors/device_plan.h"

namespace kvevict {
namespace {

void require_done(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  const ErrorCode code = status == cudaErrorMemoryAllocation ? ErrorCode::kOutOfMemory : ErrorCode::kEngine;
  throw Error(code, std::string("CUDA could not ") + what + ": " + cudaGetErrorString(status));
}

/// Device memory that lives until the stream has passed the end of its scope.
class StreamMemory {
 public:
  StreamMemory(std::size_t n_bytes, cudaStream_t stream) : stream_(stream) {
    require_done(cudaMallocAsync(&data_, n_bytes, stream), "allocate the table of the rows that stay");
  }
  ~StreamMemory() { cudaFreeAsync(data_, stream_); }
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;

  [[nodiscard]] unsigned char* data() const { return static_cast<unsigned char*>(data_); }

 private:
  void* data_ = nullptr;
  cudaStream_t stream_;
};

}  // namespace

void move_on_device(std::span<const TensorMove> tensors, void* cuda_stream) {
  const DevicePlan plan(tensors);
  if (plan.n_blocks() == 0) return;
  auto* const stream = static_cast<cudaStream_t>(cuda_stream);
  const std::size_t move_bytes = plan.moves().size() * sizeof(DeviceMove);
  const std::size_t range_bytes = plan.ranges().size() * sizeof(DeviceRange);
  const StreamMemory table(move_bytes + range_bytes, stream);
  unsigned char* const moves = table.data();
  unsigned char* const ranges = moves + move_bytes;
  // from pageable memory: both have been read when the calls return
  require_done(cudaMemcpyAsync(moves, plan.moves().data(), move_bytes, cudaMemcpyHostToDevice, stream),
               "copy the plan");
  require_done(cudaMemcpyAsync(ranges, plan.ranges().data(), range_bytes, cudaMemcpyHostToDevice, stream),
               "copy the plan");
  move_kernel<<<static_cast<unsigned int>(plan.n_blocks()), kDeviceThreads, 0, stream>>>(
      reinterpret_cast<const DeviceMove*>(moves), static_cast<std::int64_t>(plan.moves().size()),
      reinterpret_cast<const DeviceRange*>(ranges));
  require_done(cudaGetLastError(), "launch the move");
}

}  // namespace kvevict
