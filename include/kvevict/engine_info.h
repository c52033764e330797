#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvevict {

/// A device that llama.cpp can compute on.
struct Device {
  std::string name;
  std::string description;
  bool is_gpu = false;
  std::int64_t free_bytes = 0;
  std::int64_t total_bytes = 0;
};

/// What the llama.cpp that this program runs with is and can use.
struct EngineInfo {
  std::string llama_version;  ///< llama.cpp's own version.
  std::string ggml_version;
  std::string ggml_commit;
  std::vector<std::string> backends;  ///< "CPU", "CUDA", "Vulkan", "RPC", …
  std::vector<Device> devices;
};

[[nodiscard]] EngineInfo engine_info();

}  // namespace kvevict
