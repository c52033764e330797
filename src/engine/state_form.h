#pragma once

#include "engine/llama_handles.h"

namespace kvevict {

/// What the session state of a model has beside the cells' positions, keys and values.
struct StateForm {
  bool has_cells = true;         ///< Of tokens; a recurrent model has none.
  bool has_values = true;        ///< V rows; a latent K (MLA) needs none.
  bool has_coordinates = false;  ///< Of each cell, for models with several positions for each token (M-RoPE).
  bool has_windows = false;      ///< A cache of the layers with a sliding window, behind the first.
  bool has_tail = false;         ///< A state of fixed size behind the cells (hybrid models).
  bool has_index = false;        ///< A second key of each token: such a state is not taken apart.
  bool ends_at_keys = false;     ///< What lies behind the keys of the (first) cache is not looked at.
};
[[nodiscard]] StateForm state_form_of(const llama_model* model);

/// The form of the state's beginning, up to the keys of its first cache: of all layers but those with a
/// sliding window, which have a cache of their own behind it.
[[nodiscard]] StateForm form_up_to_keys(StateForm form);

}  // namespace kvevict
