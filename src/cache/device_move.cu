#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cache/device_move.h"
#include "cache/row_walk.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr int kThreads = 256;
constexpr int kUnitsPerThread = 8;  // held in registers between a tile's reads and its writes
constexpr int kMaxTileRows = 2048;  // their sources are held in shared memory
constexpr std::int64_t kMaxSliceUnits = 256;
constexpr std::int64_t kMinSliceBytes = 64;
constexpr std::int64_t kMinPartRows = 64;
constexpr std::int64_t kBlocksWanted = 1024;  // a few for each multiprocessor of today's devices

/// A range of kept rows on the device.
struct DeviceRange {
  std::int64_t from;
  std::int64_t to;
};

/// A tensor's move on the device. A block moves one slice (the same bytes of every row) of one lane,
/// or one part of its rows where the parts cannot meet.
struct DeviceMove {
  unsigned char* base;
  std::int64_t sizes[3], strides[3];
  std::int64_t row_stride;
  std::int64_t row_units, slice_units;  // of unit_bytes each
  std::int64_t first_to, n_kept;
  std::int64_t first_range, n_ranges;
  std::int64_t first_block;
  std::int64_t n_slices, n_parts;
  int unit_bytes;
};

struct SharedRows {
  std::int64_t from[kMaxTileRows];
  std::int64_t range_hint[2];
};

/// Where the row comes from that goes to `to`. `range` begins as a lower bound of its range.
__device__ std::int64_t source_of(const DeviceRange* ranges, std::int64_t n, std::int64_t to,
                                  std::int64_t& range) {
  std::int64_t low = range, high = n;  // ranges[low].to <= to < ranges[high].to
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    if (ranges[middle].to <= to) {
      low = middle;
    } else {
      high = middle;
    }
  }
  range = low;
  return ranges[low].from + (to - ranges[low].to);
}

/// Moves rows [begin, end) of a slice, tile by tile.
///
/// Safe for overlap by construction: every row of a tile is read by the block before the first one is
/// written, and what later tiles read lies behind all that this one writes (a row never moves
/// backwards: its source is at or behind its place, and places ascend).
template <typename Unit>
__device__ void move_slice(const DeviceMove& move, const DeviceRange* ranges, unsigned char* slice,
                           int units, std::int64_t begin, std::int64_t end, SharedRows& shared) {
  const int tile_rows = min(kThreads * kUnitsPerThread / units, kMaxTileRows);
  if (threadIdx.x == 0) shared.range_hint[0] = 0;
  __syncthreads();
  int tile = 0;
  for (std::int64_t to = begin; to < end; to += tile_rows, tile ^= 1) {
    const int rows = static_cast<int>(min(static_cast<std::int64_t>(tile_rows), end - to));
    std::int64_t range = shared.range_hint[tile];
    for (int row = static_cast<int>(threadIdx.x); row < rows; row += kThreads) {
      shared.from[row] = source_of(ranges, move.n_ranges, to + row, range);
      if (row == rows - 1) shared.range_hint[tile ^ 1] = range;
    }
    __syncthreads();
    Unit held[kUnitsPerThread];
#pragma unroll
    for (int i = 0; i < kUnitsPerThread; ++i) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      if (at >= rows * units) break;
      const auto* row = reinterpret_cast<const Unit*>(slice + shared.from[at / units] * move.row_stride);
      held[i] = row[at % units];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kUnitsPerThread; ++i) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      if (at >= rows * units) break;
      reinterpret_cast<Unit*>(slice + (to + at / units) * move.row_stride)[at % units] = held[i];
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    move_kernel(const DeviceMove* moves, std::int64_t n_moves, const DeviceRange* all_ranges) {
  __shared__ SharedRows shared;
  std::int64_t low = 0, high = n_moves;  // moves[low].first_block <= block < moves[high].first_block
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    if (moves[middle].first_block <= static_cast<std::int64_t>(blockIdx.x)) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const DeviceMove move = moves[low];
  const std::int64_t block = static_cast<std::int64_t>(blockIdx.x) - move.first_block;
  const std::int64_t part = block % move.n_parts;
  const std::int64_t first_unit = block / move.n_parts % move.n_slices * move.slice_units;
  const std::int64_t lane = block / move.n_parts / move.n_slices;
  const std::int64_t n_rows = move.n_kept - move.first_to;
  unsigned char* const slice = move.base + lane / move.sizes[2] / move.sizes[1] * move.strides[0] +
                               lane / move.sizes[2] % move.sizes[1] * move.strides[1] +
                               lane % move.sizes[2] * move.strides[2] + first_unit * move.unit_bytes;
  const int units = static_cast<int>(min(move.slice_units, move.row_units - first_unit));
  const std::int64_t begin = move.first_to + n_rows * part / move.n_parts;
  const std::int64_t end = move.first_to + n_rows * (part + 1) / move.n_parts;
  const DeviceRange* const ranges = all_ranges + move.first_range;
  switch (move.unit_bytes) {
    case 16:
      return move_slice<uint4>(move, ranges, slice, units, begin, end, shared);
    case 8:
      return move_slice<uint2>(move, ranges, slice, units, begin, end, shared);
    case 4:
      return move_slice<unsigned int>(move, ranges, slice, units, begin, end, shared);
    case 2:
      return move_slice<unsigned short>(move, ranges, slice, units, begin, end, shared);
    default:
      return move_slice<unsigned char>(move, ranges, slice, units, begin, end, shared);
  }
}

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

/// The widest unit that the tensor's addresses and rows are multiples of.
int unit_bytes_of(const Lanes& lanes) {
  std::uint64_t bits = reinterpret_cast<std::uintptr_t>(lanes.base) |
                       static_cast<std::uint64_t>(lanes.row_bytes) |
                       static_cast<std::uint64_t>(lanes.row_stride);
  for (const std::int64_t stride : lanes.strides) bits |= static_cast<std::uint64_t>(stride);
  int unit = 16;
  while (bits % static_cast<std::uint64_t>(unit) != 0) unit /= 2;
  return unit;
}

/// Cuts lanes into slices, and rows into parts, until there are blocks enough to fill a device.
class DevicePlan {
 public:
  explicit DevicePlan(std::span<const TensorMove> tensors) {
    std::int64_t n_lanes = 0;
    for (const TensorMove& tensor : tensors) n_lanes += tensor.lanes.n_lanes;
    const std::int64_t blocks_per_lane =
        std::max<std::int64_t>(1, kBlocksWanted / std::max<std::int64_t>(1, n_lanes));
    for (const TensorMove& tensor : tensors) add(tensor, blocks_per_lane);
    if (n_blocks_ > INT32_MAX)
      throw Error(ErrorCode::kUnsupported, "the cache has more heads than one launch can move");
  }

  void launch(cudaStream_t stream) const {
    const std::size_t move_bytes = moves_.size() * sizeof(DeviceMove);
    const std::size_t range_bytes = ranges_.size() * sizeof(DeviceRange);
    const StreamMemory table(move_bytes + range_bytes, stream);
    require_done(cudaMemcpyAsync(table.data(), moves_.data(), move_bytes, cudaMemcpyHostToDevice, stream),
                 "copy the plan");
    require_done(cudaMemcpyAsync(table.data() + move_bytes, ranges_.data(), range_bytes,
                                 cudaMemcpyHostToDevice, stream),
                 "copy the plan");
    move_kernel<<<static_cast<unsigned int>(n_blocks_), kThreads, 0, stream>>>(
        reinterpret_cast<const DeviceMove*>(table.data()), static_cast<std::int64_t>(moves_.size()),
        reinterpret_cast<const DeviceRange*>(table.data() + move_bytes));
    require_done(cudaGetLastError(), "launch the move");
  }

 private:
  void add(const TensorMove& tensor, std::int64_t blocks_per_lane) {
    const Lanes& lanes = tensor.lanes;
    DeviceMove move{};
    move.base = reinterpret_cast<unsigned char*>(lanes.base);
    std::copy(lanes.sizes.begin(), lanes.sizes.end(), move.sizes);
    std::copy(lanes.strides.begin(), lanes.strides.end(), move.strides);
    move.row_stride = lanes.row_stride;
    move.unit_bytes = unit_bytes_of(lanes);
    move.row_units = lanes.row_bytes / move.unit_bytes;
    move.n_kept = tensor.n_kept;
    move.first_to = tensor.n_kept - tensor.n_moved;
    add_ranges(tensor.keep, move);
    RowWalk walk(tensor.keep);
    walk.advance_to(move.first_to);
    const bool parts_apart = walk.from() >= move.n_kept;  // nothing is written where anything is read
    move.n_parts =
        parts_apart ? std::clamp<std::int64_t>(tensor.n_moved / kMinPartRows, 1, blocks_per_lane) : 1;
    cut_slices(blocks_per_lane / move.n_parts, move);
    move.first_block = n_blocks_;
    n_blocks_ += lanes.n_lanes * move.n_slices * move.n_parts;
    moves_.push_back(move);
  }

  static void cut_slices(std::int64_t wanted, DeviceMove& move) {
    const std::int64_t least_units = std::max<std::int64_t>(1, kMinSliceBytes / move.unit_bytes);
    move.slice_units = std::clamp((move.row_units + wanted - 1) / std::max<std::int64_t>(1, wanted),
                                  least_units, kMaxSliceUnits);
    move.n_slices = (move.row_units + move.slice_units - 1) / move.slice_units;
  }

  /// Layers that share a keep set share its table.
  void add_ranges(std::span<const TokenRange> keep, DeviceMove& move) {
    const auto [known, is_new] =
        first_ranges_.try_emplace(keep.data(), static_cast<std::int64_t>(ranges_.size()));
    if (is_new) {
      std::int64_t to = 0;
      for (const TokenRange& range : keep) {
        ranges_.push_back({range.begin, to});
        to += range.count();
      }
    }
    move.first_range = known->second;
    move.n_ranges = static_cast<std::int64_t>(keep.size());
  }

  std::vector<DeviceMove> moves_;
  std::vector<DeviceRange> ranges_;
  std::map<const TokenRange*, std::int64_t> first_ranges_;
  std::int64_t n_blocks_ = 0;
};

}  // namespace

void move_on_device(std::span<const TensorMove> tensors, void* cuda_stream) {
  if (!tensors.empty()) DevicePlan(tensors).launch(static_cast<cudaStream_t>(cuda_stream));
}

}  // namespace kvevict
