#include "engine/kv_size.h"

#include <algorithm>

#include "base/units.h"
#include "engine/model_traits.h"

namespace kvevict {
namespace {

/// Cells of a layer with a window: the window and what is computed at once, as llama.cpp allots them.
std::int64_t window_cells(const Model& model, const SessionOptions& options, std::int64_t n_cells) {
  return std::min(n_cells, padded_cells(model.info().n_window + std::min(options.n_ubatch, options.n_batch)));
}

}  // namespace

bool holds_windows(const Model& model, const SessionOptions& options) {
  return model.info().n_window > 0 && options.n_sequences == 1;
}

bool packs_by_rows(const Model& model) {
  return moves_by_rows(model.handle());
}

std::int64_t kv_bytes_of(const Model& model, const SessionOptions& options, std::int64_t n_cells) {
  const std::int64_t in_all = model.kv_bytes_per_token(options.type_k, options.type_v);
  if (!holds_windows(model, options)) return n_cells * in_all;
  const std::int64_t in_windows = model.window_bytes_per_token(options.type_k, options.type_v);
  return n_cells * (in_all - in_windows) + window_cells(model, options, n_cells) * in_windows;
}

std::int64_t key_copy_bytes(const Model& model, const SessionOptions& options, std::int64_t n_cells) {
  constexpr std::int64_t kHead = 64, kOfCell = 24, kOfLayer = 16;
  return kHead + model.info().n_cache_layers() * kOfLayer +
         n_cells * (kOfCell + model.key_bytes_per_token(options.type_k));
}

std::int64_t cells_within(const Model& model, const SessionOptions& options, std::int64_t bytes) {
  std::int64_t n_within = 0;                                        // in blocks of 256: within …
  std::int64_t n_beyond = padded_cells(kMaxTokens) / kCellPadding;  // … and beyond, or the most there can be
  if (kv_bytes_of(model, options, n_beyond * kCellPadding) <= bytes) return kMaxTokens;
  while (n_beyond - n_within > 1) {
    const std::int64_t between = n_within + (n_beyond - n_within) / 2;
    (kv_bytes_of(model, options, between * kCellPadding) <= bytes ? n_within : n_beyond) = between;
  }
  return n_within * kCellPadding;
}

}  // namespace kvevict
