#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/state_form.h"

namespace kvevict {

/// Where each sequence of a context has a stream of cells of its own, llama.cpp's state of one sequence names
/// the number of streams, and of each but one that it has no cell. These turn such a state into the one that
/// a context of this sequence alone would have, and back: rows move between both, and everything else knows
/// one form alone.

/// `state` of one sequence in a context of `n_streams` >= 2. With `StateForm::ends_at_keys` it may end
/// anywhere behind its cells' number. Errors: kUnsupported for a state of another form. O(bytes).
[[nodiscard]] std::vector<std::uint8_t> as_of_one_stream(std::vector<std::uint8_t> state, StateForm form,
                                                         int n_streams);

/// `state` of a context of one sequence, as that of `stream` of `n_streams`. Errors: kUnsupported.
[[nodiscard]] std::vector<std::uint8_t> as_of_streams(std::span<const std::uint8_t> state, StateForm form,
                                                      int n_streams, int stream);

}  // namespace kvevict
