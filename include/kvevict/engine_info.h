#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

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

/// A process that lends its devices to others by ggml's RPC back end.
///
/// The protocol has no authentication and no encryption: whoever reaches the port can run computations and
/// read the model. Use it within a network that is trusted, or on this machine.
struct RpcWorkerOptions {
  std::string host = "127.0.0.1";
  int port = 50052;   ///< 1 … 65535.
  int n_threads = 0;  ///< For the CPU; 0: one for each core that this process may use.
  std::vector<std::string>
      devices{};               ///< Names of ggml devices to lend; empty: the GPUs, or the CPU without one.
  std::string cache_folder{};  ///< Keeps weights between runs; empty: no cache.
};

/// Connects to workers and makes their devices known to this process, once for each. Returns the devices'
/// names for `ModelOptions::devices`, in order. Errors: kInvalidArgument for what is not "host:port"; kIo
/// naming the worker that does not answer; kUnsupported if llama.cpp was built without its RPC back end.
/// `answers` says whether an endpoint accepts connections. It is asked first, since llama.cpp ends the
/// process if an endpoint does not. llama.cpp also ends it if a worker goes away later, or if something else
/// listens there.
[[nodiscard]] std::vector<std::string> add_rpc_workers(
    std::span<const std::string> endpoints, const std::function<bool(const std::string&)>& answers);

/// Serves until the process is ended. Errors: kInvalidArgument (port, device), kUnsupported as above, kIo
/// if the port cannot be taken.
void run_rpc_worker(const RpcWorkerOptions& options);

}  // namespace kvevict
