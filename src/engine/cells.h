#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/cache_map.h"
#include "engine/llama_handles.h"
#include "engine/raw_bytes.h"

namespace kvevict {

/// All sequences of a context.
inline constexpr llama_seq_id kAllSequences = -1;

/// Streams of cells: 1 if the sequences of `context` share their cells, else as many as it has sequences,
/// each with as many cells. Rows of a sequence are handed out and taken as those of a context of it alone.
[[nodiscard]] int n_streams(const llama_context* context);

/// Removes positions of `sequence`. Errors: kUnsupported if llama.cpp says that it cannot.
void remove_positions(llama_context* context, llama_seq_id sequence,
                      std::span<const PositionRange> positions);

/// Moves positions of `sequence`, one after the other; llama.cpp rotates the keys when it decodes next.
/// REQUIRES: no `reason_not_shiftable`, and not `moves_by_rows`.
void shift_positions(llama_context* context, llama_seq_id sequence, std::span<const PositionShift> shifts);

/// Cells that hold a token of `sequence`, or any token, as llama.cpp's own state says; of a model with
/// nothing to evict the tokens that it has seen. O(cells). Errors: kEngine if the state begins in a way that
/// this build does not know.
[[nodiscard]] std::int64_t count_cells(llama_context* context, llama_seq_id sequence);

/// The K and V rows and positions of `sequence`'s cells in llama.cpp's format; empty for none.
/// Errors: kEngine.
[[nodiscard]] std::vector<std::uint8_t> copy_rows(llama_context* context, llama_seq_id sequence);

/// The beginning of `copy_rows`: positions and K rows alone, for a `StateForm` that `ends_at_keys`. Half the
/// bytes. `n_bytes`: of the copy (`key_copy_bytes`); with too few, what comes is cut short.
[[nodiscard]] RawBytes copy_keys(llama_context* context, llama_seq_id sequence, std::int64_t n_bytes);

/// Puts rows back that `copy_rows` gave, in place of what `sequence` holds.
/// Errors: kBadData with llama.cpp's reason; `sequence` is then empty.
void put_rows(llama_context* context, llama_seq_id sequence, std::span<const std::uint8_t> rows);

}  // namespace kvevict
