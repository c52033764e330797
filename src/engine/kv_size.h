#pragma once

#include <cstdint>

#include "kvevict/session_options.h"

namespace kvevict {

/// Whether a session of `options` holds the layers with a sliding window at that window, and not in full:
/// always but for sessions that may be forked. llama.cpp fills the cells of a window that slid on with newer
/// tokens, which it cannot do to cells that two sequences share.
[[nodiscard]] bool holds_windows(const Model& model, const SessionOptions& options);

/// Whether packing the positions of `model` copies rows: llama.cpp does not shift them (`moves_by_rows`).
[[nodiscard]] bool packs_by_rows(const Model& model);

/// Bytes of K and V of a context of `n_cells` cells, a multiple of 256.
[[nodiscard]] std::int64_t kv_bytes_of(const Model& model, const SessionOptions& options,
                                       std::int64_t n_cells);

/// Bytes of a copy of the positions and K rows of `n_cells` cells, as llama.cpp's session state has them
/// (`StateForm::ends_at_keys`), and a little more.
[[nodiscard]] std::int64_t key_copy_bytes(const Model& model, const SessionOptions& options,
                                          std::int64_t n_cells);

/// The most cells, a multiple of 256, whose K and V are within `bytes`; kMaxTokens if nothing bounds them.
[[nodiscard]] std::int64_t cells_within(const Model& model, const SessionOptions& options,
                                        std::int64_t bytes);

}  // namespace kvevict
