#include "kvevict/engine_info.h"

#include <ggml-backend.h>
#include <llama.h>

#include "engine/llama_log.h"

namespace kvevict {

EngineInfo engine_info() {
  start_llama();
  EngineInfo info{.llama_version = llama_version(),
                  .ggml_version = ggml_version(),
                  .ggml_commit = ggml_commit(),
                  .backends = {},
                  .devices = {}};
  for (std::size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    info.backends.emplace_back(ggml_backend_reg_name(ggml_backend_reg_get(i)));
  }
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    ggml_backend_dev_memory(device, &free_bytes, &total_bytes);
    const auto type = ggml_backend_dev_type(device);
    info.devices.push_back(
        {.name = ggml_backend_dev_name(device),
         .description = ggml_backend_dev_description(device),
         .is_gpu = type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU,
         .free_bytes = static_cast<std::int64_t>(free_bytes),
         .total_bytes = static_cast<std::int64_t>(total_bytes)});
  }
  return info;
}

}  // namespace kvevict
