#pragma once

#include <string>

#include "engine/llama_handles.h"

namespace kvevict {

/// What the memory of a model holds and what can be done to it, as llama.cpp's interface and the model's
/// metadata tell it.

/// Why a session cannot decode with `model` token by token ("it is a diffusion model …"); empty if it can.
[[nodiscard]] std::string reason_not_decodable(const llama_model* model);

/// Why there is nothing to evict from `model`'s cache by position ("it keeps a state, …"); empty if there is.
/// Such a model decodes, and keeps all that it has seen.
[[nodiscard]] std::string reason_not_evictable(const llama_model* model);

/// Whether layers of `model` keep a state of fixed size for each sequence, beside the K and V of others or in
/// place of all. llama.cpp cannot take a token out of a state: not the newest either, so that such a sequence
/// never goes back, but by a copy of an earlier state.
[[nodiscard]] bool has_state(const llama_model* model);

/// Why the positions of `model`'s cached keys cannot be moved; empty if they can: no sliding window (moved
/// tokens would enter windows whose cells are gone). Keys without rotation move by their cells alone.
[[nodiscard]] std::string reason_not_shiftable(const llama_model* model);

/// Whether `model` keeps a second, small key of each token by which it chooses what to look at.
[[nodiscard]] bool has_index(const llama_model* model);

/// Whether the attention of `model` goes by the distance of cells (ALiBi): a cell must hold tokens of the
/// same position in all layers.
[[nodiscard]] bool has_distances_in_attention(const llama_model* model);

/// Whether `model` has learned an embedding for each position, and none for those beyond its trained context:
/// llama.cpp ends the process there.
[[nodiscard]] bool has_learned_positions(const llama_model* model);

/// Whether keys of `model` are rotated by their position in any layer.
[[nodiscard]] bool are_keys_rotated(const llama_model* model);

/// Whether positions of `model`'s keys move by its rows alone, which a KeyRotator rotates: several positions
/// for each token (M-RoPE), all the same for text, which llama.cpp ends the process for if it is asked to
/// shift them; and models that llama.cpp's shift would rotate in layers where the model itself does not.
[[nodiscard]] bool moves_by_rows(const llama_model* model);

}  // namespace kvevict
