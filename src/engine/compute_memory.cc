#include <cstdlib>
#include <string>

#include "base/units.h"
#include "engine/kv_context.h"
#include "engine/llama_log.h"
#include "kvevict/memory.h"

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

std::optional<std::int64_t> compute_bytes_needed(const Model& model, const SessionOptions& options,
                                                 std::int64_t n_cells) {
  const LlamaLogCapture log;
  const LlamaContextHandle context =
      make_llama_context(model, options, padded_cells(n_cells), options.n_sequences);
  return compute_bytes_in(log.text());
}

}  // namespace kvevict
