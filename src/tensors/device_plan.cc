#include "tensors/device_plan.h"

#include <algorithm>

#include "kvevict/error.h"
#include "tensors/row_walk.h"

namespace kvevict {
namespace {

constexpr std::int64_t kMinSliceBytes = 64;
constexpr std::int64_t kMinPartRows = 64;
constexpr std::int64_t kBlocksWanted = 1024;  // a few for each multiprocessor of today's devices

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

/// Whether nothing is written where anything is read: rows can then move in any order.
bool all_apart(const TensorMove& tensor, std::int64_t first_to) {
  RowWalk walk(tensor.keep);
  walk.advance_to(first_to);
  return walk.from() >= tensor.n_kept;
}

void cut_slices(std::int64_t n_wanted, DeviceMove& move) {
  const std::int64_t least = std::max<std::int64_t>(1, kMinSliceBytes / move.unit_bytes);
  const std::int64_t n_slices = std::max<std::int64_t>(1, n_wanted);
  move.slice_units =
      std::clamp((move.row_units + n_slices - 1) / n_slices, least, DevicePlan::kMaxSliceUnits);
  move.n_slices = (move.row_units + move.slice_units - 1) / move.slice_units;
}

}  // namespace

DevicePlan::DevicePlan(std::span<const TensorMove> tensors) {
  std::int64_t n_lanes = 0;
  for (const TensorMove& tensor : tensors) n_lanes += tensor.lanes.n_lanes;
  const std::int64_t blocks_per_lane = kBlocksWanted / std::max<std::int64_t>(1, n_lanes);
  moves_.reserve(tensors.size());
  for (const TensorMove& tensor : tensors) add(tensor, std::max<std::int64_t>(1, blocks_per_lane));
  if (n_blocks_ > INT32_MAX) {
    throw Error(ErrorCode::kUnsupported, "the cache has more heads than one launch can move");
  }
}

void DevicePlan::add(const TensorMove& tensor, std::int64_t blocks_per_lane) {
  if (tensor.total_bytes() == 0) return;
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
  const std::int64_t most_parts = all_apart(tensor, move.first_to) ? tensor.n_moved / kMinPartRows : 1;
  move.n_parts = std::clamp<std::int64_t>(most_parts, 1, blocks_per_lane);
  cut_slices(blocks_per_lane / move.n_parts, move);
  add_ranges(tensor.keep, move);
  move.first_block = n_blocks_;
  n_blocks_ += lanes.n_lanes * move.n_slices * move.n_parts;
  moves_.push_back(move);
}

void DevicePlan::add_ranges(std::span<const TokenRange> keep, DeviceMove& move) {
  const auto [known, is_new] =
      first_ranges_.try_emplace(keep.data(), static_cast<std::int64_t>(ranges_.size()));
  std::int64_t to = 0;
  for (std::size_t i = 0; is_new && i < keep.size(); ++i) {
    ranges_.push_back({keep[i].begin, to});
    to += keep[i].count();
  }
  move.first_range = known->second;
  move.n_ranges = static_cast<std::int64_t>(keep.size());
}

}  // namespace kvevict
