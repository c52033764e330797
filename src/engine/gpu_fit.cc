#include "engine/gpu_fit.h"

#include <algorithm>

namespace kvevict {

int layers_that_fit(std::span<const std::int64_t> layer_bytes, std::int64_t kv_bytes_per_layer,
                    std::int64_t free_bytes) {
  constexpr std::int64_t kLeastReserve = std::int64_t{512} << 20;
  std::int64_t room = free_bytes - std::max(kLeastReserve, free_bytes / 10);
  if (layer_bytes.empty()) return 0;
  const int n_layers = static_cast<int>(layer_bytes.size()) - 1;
  int n_fit = 0;
  for (int layer = n_layers - 1; layer >= 0; --layer, ++n_fit) {
    room -= layer_bytes[static_cast<std::size_t>(layer)] + kv_bytes_per_layer;
    if (room < 0) return n_fit;
  }
  return room >= layer_bytes.back() ? n_layers + 1 : n_layers;
}

}  // namespace kvevict
