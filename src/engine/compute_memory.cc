#include <cstdlib>
#include <string>

#include "base/units.h"
#include "engine/llama_log.h"
#include "engine/new_context.h"
#include "kvevict/memory.h"

namespace kvevict {
namespace {

/// llama.cpp tells the sizes of some buffers in its log alone, with a line for each device:
/// "…: CPU compute buffer size = 12.34 MiB", "…: CPU RS buffer size = 1.23 MiB".
std::optional<std::int64_t> bytes_in(const std::string& log, const std::string& mark) {
  std::optional<std::int64_t> bytes;
  for (std::size_t at = log.find(mark); at != std::string::npos; at = log.find(mark, at + 1)) {
    const double mib = std::strtod(log.c_str() + at + mark.size(), nullptr);
    bytes = bytes.value_or(0) + static_cast<std::int64_t>(mib * 1024 * 1024);
  }
  return bytes;
}

/// What llama.cpp says when it makes a context.
std::string context_log(const Model& model, const SessionOptions& options, std::int64_t n_cells) {
  const LlamaLogCapture log;
  const LlamaContextHandle context =
      make_llama_context(model, options, padded_cells(n_cells), options.n_sequences);
  return log.text();
}

}  // namespace

std::optional<std::int64_t> compute_bytes_needed(const Model& model, const SessionOptions& options,
                                                 std::int64_t n_cells) {
  return bytes_in(context_log(model, options, n_cells), "compute buffer size =");
}

std::optional<std::int64_t> state_bytes_needed(const Model& model, const SessionOptions& options) {
  if (!model.info().has_state) return std::nullopt;
  SessionOptions small = options;
  small.n_sequences = 1;
  small.positions = PositionMode::kAbsolute;
  return bytes_in(context_log(model, small, 1), "RS buffer size =");
}

}  // namespace kvevict
