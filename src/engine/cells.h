#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/cache_map.h"
#include "engine/llama_handles.h"

namespace kvevict {

/// All sequences of a context.
inline constexpr llama_seq_id kAllSequences = -1;

/// Why a session cannot decode with `model` token by token ("it is a diffusion model …"); empty if it can.
[[nodiscard]] std::string reason_not_decodable(const llama_model* model);

/// Why there is nothing to evict from `model`'s cache by position ("it keeps a state, …"); empty if there is.
/// Such a model decodes, and keeps all that it has seen.
[[nodiscard]] std::string reason_not_evictable(const llama_model* model);

/// Whether layers of `model` keep a state of fixed size for each sequence, beside the K and V of others or in
/// place of all. llama.cpp cannot take a token out of a state: not the newest either, so that such a sequence
/// never goes back, but by a copy of an earlier state.
[[nodiscard]] bool has_state(const llama_model* model);

/// Why the positions of `model`'s cached keys cannot be moved; empty if they can: rotary positions, and no
/// sliding window (moved tokens would enter windows whose cells are gone).
[[nodiscard]] std::string reason_not_shiftable(const llama_model* model);

/// Whether positions of `model`'s keys move by its rows alone: several positions for each token (M-RoPE), all
/// the same for text. llama.cpp ends the process if it is asked to shift them; a KeyRotator can.
[[nodiscard]] bool moves_by_rows(const llama_model* model);

/// Removes positions of `sequence`. Errors: kUnsupported if llama.cpp says that it cannot.
void remove_positions(llama_context* context, llama_seq_id sequence,
                      std::span<const PositionRange> positions);

/// Moves positions of `sequence`, one after the other; llama.cpp rotates the keys when it decodes next.
/// REQUIRES: no `reason_not_shiftable`, and not `moves_by_rows`.
void shift_positions(llama_context* context, llama_seq_id sequence, std::span<const PositionShift> shifts);

/// Cells that hold a token of `sequence`, or any token, as llama.cpp's own state says; of a recurrent model 1
/// for each sequence that has a state. O(cells).
/// Errors: kEngine if the state begins in a way that this build does not know.
[[nodiscard]] std::int64_t count_cells(llama_context* context, llama_seq_id sequence);

/// The K and V rows and positions of `sequence`'s cells in llama.cpp's format; empty for none.
/// Errors: kEngine.
[[nodiscard]] std::vector<std::uint8_t> copy_rows(llama_context* context, llama_seq_id sequence);

/// Puts rows back that `copy_rows` gave, in place of what `sequence` holds.
/// Errors: kBadData with llama.cpp's reason; `sequence` is then empty.
void put_rows(llama_context* context, llama_seq_id sequence, std::span<const std::uint8_t> rows);

}  // namespace kvevict
