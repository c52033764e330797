#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "tensors/move_tensors.h"

namespace kvevict {

/// A range of kept rows, as the device's table holds it.
struct DeviceRange {
  std::int64_t from;
  std::int64_t to;
};

/// A tensor's move on the device. A block moves one slice (the same bytes of every row) of one lane,
/// or one part of its rows if the parts cannot meet.
struct DeviceMove {
  unsigned char* base;
  std::int64_t sizes[3], strides[3];  // of the axes that number the lanes, slowest first; bytes
  std::int64_t row_stride;
  std::int64_t row_units, slice_units;  // of unit_bytes each
  std::int64_t first_to, n_kept;        // rows [first_to, n_kept) are written
  std::int64_t first_range, n_ranges;   // in the table of ranges
  std::int64_t first_block;
  std::int64_t n_slices, n_parts;
  int unit_bytes;
};

/// One launch for all tensors, made on the host: lanes are cut into slices, and rows into parts,
/// until there are blocks enough to fill a device.
class DevicePlan {
 public:
  /// A slice has at most this many units, so that a block's tile has at least some rows.
  static constexpr std::int64_t kMaxSliceUnits = 256;

  /// Errors: kUnsupported if the cache has more lanes than a launch has blocks.
  explicit DevicePlan(std::span<const TensorMove> tensors);

  [[nodiscard]] const std::vector<DeviceMove>& moves() const noexcept { return moves_; }
  [[nodiscard]] const std::vector<DeviceRange>& ranges() const noexcept { return ranges_; }
  [[nodiscard]] std::int64_t n_blocks() const noexcept { return n_blocks_; }

 private:
  void add(const TensorMove& tensor, std::int64_t blocks_per_lane);
  void add_ranges(std::span<const TokenRange> keep, DeviceMove& move);

  std::vector<DeviceMove> moves_;
  std::vector<DeviceRange> ranges_;
  std::map<const TokenRange*, std::int64_t> first_ranges_;  ///< Layers that share a keep set share its table.
  std::int64_t n_blocks_ = 0;
};

}  // namespace kvevict
