#pragma once

// The kernel alone: device code and nothing of the CUDA run time, so that a test can run it on the host,
// thread by thread, if there is no device.

#include <cstdint>

#include "tensors/device_plan.h"

#ifndef KVEVICT_DEVICE_THREADS
#define KVEVICT_DEVICE_THREADS 256
#endif

#ifdef __CUDACC__
#define KVEVICT_UNROLL _Pragma("unroll")
#else
#define KVEVICT_UNROLL
#endif

namespace kvevict {

constexpr int kDeviceThreads = KVEVICT_DEVICE_THREADS;  // of a block
constexpr int kUnitsPerThread = 8;  // held in registers between a tile's reads and its writes
constexpr int kTileUnits = kDeviceThreads * kUnitsPerThread;
static_assert(kTileUnits >= DevicePlan::kMaxSliceUnits, "a tile must have room for a row");

struct SharedRows {
  std::int64_t from[kTileUnits];
  std::int64_t range_hint[2];
};

/// Where the row comes from that goes to `to`. `range` begins as a lower bound of its range.
__device__ inline std::int64_t source_of(const DeviceRange* ranges, std::int64_t n, std::int64_t to,
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
/// backwards: its source is at or behind its place, and both ascend).
template <typename Unit>
__device__ void move_slice(const DeviceMove& move, const DeviceRange* ranges, unsigned char* slice, int units,
                           std::int64_t begin, std::int64_t end, SharedRows& shared) {
  const int thread = static_cast<int>(threadIdx.x);
  const int tile_rows = kTileUnits / units;
  if (thread == 0) shared.range_hint[0] = 0;
  __syncthreads();
  int tile = 0;
  for (std::int64_t to = begin; to < end; to += tile_rows, tile ^= 1) {
    const int rows = end - to < tile_rows ? static_cast<int>(end - to) : tile_rows;
    std::int64_t range = shared.range_hint[tile];
    for (int row = thread; row < rows; row += kDeviceThreads) {
      shared.from[row] = source_of(ranges, move.n_ranges, to + row, range);
      if (row == rows - 1) shared.range_hint[tile ^ 1] = range;
    }
    __syncthreads();
    Unit held[kUnitsPerThread] = {};
    KVEVICT_UNROLL
    for (int i = 0; i < kUnitsPerThread; ++i) {
      const int at = thread + i * kDeviceThreads;
      if (at >= rows * units) break;
      const auto* row = reinterpret_cast<const Unit*>(slice + shared.from[at / units] * move.row_stride);
      held[i] = row[at % units];
    }
    __syncthreads();
    KVEVICT_UNROLL
    for (int i = 0; i < kUnitsPerThread; ++i) {
      const int at = thread + i * kDeviceThreads;
      if (at >= rows * units) break;
      reinterpret_cast<Unit*>(slice + (to + at / units) * move.row_stride)[at % units] = held[i];
    }
  }
}

/// One block: finds its tensor, lane, slice and part, and moves it.
__global__ void __launch_bounds__(kDeviceThreads)
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
  unsigned char* const slice = move.base + lane / move.sizes[2] / move.sizes[1] * move.strides[0] +
                               lane / move.sizes[2] % move.sizes[1] * move.strides[1] +
                               lane % move.sizes[2] * move.strides[2] + first_unit * move.unit_bytes;
  const std::int64_t units_left = move.row_units - first_unit;
  const int units = static_cast<int>(units_left < move.slice_units ? units_left : move.slice_units);
  const std::int64_t n_rows = move.n_kept - move.first_to;
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

}  // namespace kvevict
