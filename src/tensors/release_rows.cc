#include "tensors/release_rows.h"

#include <algorithm>

#include "tensors/lanes.h"
#include "tensors/mapping.h"

namespace kvevict {

std::int64_t release_rows_behind(const KvView& view, std::int64_t n_kept) noexcept {
  const Lanes lanes = lanes_of(view);
  if (lanes.row_stride != lanes.row_bytes)
    return 0;  // rows of other lanes lie between, or the first row lies last
  const std::int64_t first = std::clamp<std::int64_t>(n_kept, 0, lanes.n_rows);
  std::int64_t n_released = 0;
  for (std::int64_t number = 0; number < lanes.n_lanes; ++number) {
    std::byte* const lane = lanes.lane(number);
    n_released += release_pages(lane + first * lanes.row_stride, lane + lanes.n_rows * lanes.row_stride);
  }
  return n_released;
}

}  // namespace kvevict
