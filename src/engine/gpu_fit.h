#pragma once

#include <cstdint>
#include <span>

namespace kvevict {

/// How many layers fit on the devices, counted from the last one as llama.cpp offloads them; one
/// more than there are layers when the output fits too ("everything").
/// `layer_bytes`: weights of each layer and, last, of everything else. `kv_bytes_per_layer`: of the
/// whole context. `free_bytes`: of all devices together. A tenth of that, at least 512 MiB, is
/// left for compute buffers and other programs. All in bytes.
[[nodiscard]] int layers_that_fit(std::span<const std::int64_t> layer_bytes, std::int64_t kv_bytes_per_layer,
                                  std::int64_t free_bytes);

}  // namespace kvevict
