#include "kvevict/memory_estimate.h"

#include <cstdlib>
#include <string>

#include "base/units.h"
#include "engine/kv_context.h"
#include "engine/llama_log.h"

namespace kvevict {
namespace {

/// llama.cpp tells the sizes of its compute buffers in its log alone:
/// "…: CPU compute buffer size = 12.34 MiB", a line for each device.
std::optional<std::int64_t> compute_bytes_in(const std::string& log) {
  static const std::string kMark = "compute buffer size =";
  std::optional<std::int64_t> bytes;
  for (std::size_t at = log.find(kMark); at != std::string::npos; at = log.find(kMark, at + 1)) {
    const double mib = std::strtod(log.c_str() + at + kMark.size(), nullptr);
    bytes = bytes.value_or(0) + static_cast<std::int64_t>(mib * 1024 * 1024);
  }
  return bytes;
}

}  // namespace

MemoryEstimate estimate_memory(std::shared_ptr<const Model> model, const SessionOptions& options,
                               std::int64_t n_tokens) {
  MemoryEstimate estimate{.weight_bytes = model->info().weight_bytes, .compute_bytes = {}};
  estimate.kv_bytes = padded_cells(n_tokens) * model->kv_bytes_per_token(options.type_k, options.type_v);
  const LlamaLogCapture log;
  {
    const KvContext context(std::move(model), options, n_tokens);
    estimate.compute_bytes = compute_bytes_in(log.text());
  }
  return estimate;
}

}  // namespace kvevict
