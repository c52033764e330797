
#include <ggml-backend.h>
#include <ggml-rpc.h>

#include <charconv>

#include "base/processors.h"
#include "engine/llama_log.h"
#include "kvevict/engine_info.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// A function of the RPC back end, which a build of llama.cpp may lack.
template <typename Function>
Function rpc_function(const char* name) {
  ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  void* const address = rpc == nullptr ? nullptr : ggml_backend_reg_get_proc_address(rpc, name);
  if (address == nullptr) {
    throw Error(ErrorCode::kUnsupported, "this llama.cpp was built without its RPC back end (GGML_RPC)");
  }
  return reinterpret_cast<Function>(address);
}

bool is_port(std::string_view text) {
  int port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && stop == text.data() + text.size() && port >= 1 && port <= 65535;
}

void require_endpoint(const std::string& endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  if (colon != std::string::npos && colon > 0 && is_port(std::string_view(endpoint).substr(colon + 1)))
    return;
  throw Error(ErrorCode::kInvalidArgument,
              "\"" + endpoint + "\" is no worker: host:port is needed, such as 127.0.0.1:50052");
}

std::vector<ggml_backend_dev_t> devices_to_lend(const std::vector<std::string>& names) {
  std::vector<ggml_backend_dev_t> devices;
  for (const std::string& name : names) {
    devices.push_back(ggml_backend_dev_by_name(name.c_str()));
    if (devices.back() == nullptr) {
      throw Error(ErrorCode::kInvalidArgument, "there is no device \"" + name + "\" here", "devices");
    }
  }
  if (!devices.empty()) return devices;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    if (ggml_backend_dev_type(ggml_backend_dev_get(i)) == GGML_BACKEND_DEVICE_TYPE_GPU)
      devices.push_back(ggml_backend_dev_get(i));
  }
  if (devices.empty()) devices.push_back(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
  return devices;
}

}  // namespace

std::vector<std::string> add_rpc_workers(std::span<const std::string> endpoints,
                                         const std::function<bool(const std::string&)>& answers) {
  start_llama();
  std::vector<std::string> names;
  for (const std::string& endpoint : endpoints) require_endpoint(endpoint);
  for (const std::string& endpoint : endpoints) {
    const auto add_server =
        rpc_function<decltype(&ggml_backend_rpc_add_server)>("ggml_backend_rpc_add_server");
    const LlamaLogCapture log;
    ggml_backend_reg_t worker = answers(endpoint) ? add_server(endpoint.c_str()) : nullptr;
    if (worker == nullptr || ggml_backend_reg_dev_count(worker) == 0) {
      throw Error(ErrorCode::kIo,
                  "the worker " + endpoint +
                      " does not answer: start it with kvevict rpc-worker, of the same version");
    }
    bool is_known = false;
    for (std::size_t i = 0; i < ggml_backend_reg_count(); ++i)
      is_known = is_known || ggml_backend_reg_get(i) == worker;
    if (!is_known) ggml_backend_register(worker);
    for (std::size_t i = 0; i < ggml_backend_reg_dev_count(worker); ++i) {
      names.emplace_back(ggml_backend_dev_name(ggml_backend_reg_dev_get(worker, i)));
    }
  }
  return names;
}

void run_rpc_worker(const RpcWorkerOptions& options) {
  if (options.port < 1 || options.port > 65535) {
    throw Error(ErrorCode::kInvalidArgument,
                "port is " + std::to_string(options.port) + ": 1 to 65535 is needed");
  }
  start_llama();
  const auto start_server =
      rpc_function<decltype(&ggml_backend_rpc_start_server)>("ggml_backend_rpc_start_server");
  std::vector<ggml_backend_dev_t> devices = devices_to_lend(options.devices);
  const std::string endpoint = options.host + ":" + std::to_string(options.port);
  const int n_threads = options.n_threads > 0 ? options.n_threads : usable_cores();
  start_server(endpoint.c_str(), options.cache_folder.empty() ? nullptr : options.cache_folder.c_str(),
               static_cast<std::size_t>(n_threads), devices.size(), devices.data());
  throw Error(ErrorCode::kIo, "the worker cannot serve on " + endpoint + ": is the port taken?");
}

}  // namespace kvevict
