#include "engine/window_layers.h"

#include <cstdlib>
#include <sstream>
#include <string>

#include "engine/llama_log.h"

namespace kvevict {
namespace {

/// The layers between the line that announces the cache of the windows and the one that sums it up:
/// "…: layer   3: dev = CPU".
std::vector<int> layers_in(const std::string& log) {
  std::vector<int> layers;
  bool is_of_windows = false;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("creating     SWA KV cache") != std::string::npos) is_of_windows = true;
    if (line.find("size = ") != std::string::npos && line.find(" layers, ") != std::string::npos)
      is_of_windows = false;
    const std::size_t layer = line.find("layer ");
    if (is_of_windows && layer != std::string::npos && line.find(": dev = ") != std::string::npos)
      layers.push_back(std::atoi(line.c_str() + layer + 6));
  }
  return layers;
}

}  // namespace

std::vector<int> layers_with_window(llama_model* model) {
  if (llama_model_n_swa(model) == 0) return {};
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 256;
  params.n_batch = params.n_ubatch = 1;
  params.no_perf = true;
  const LlamaLogCapture log;
  const LlamaContextHandle context(llama_init_from_model(model, params));
  return context ? layers_in(log.text()) : std::vector<int>();
}

}  // namespace kvevict
