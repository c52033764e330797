#include "engine/state_form.h"

#include <string>

#include "engine/model_metadata.h"
#include "engine/model_traits.h"

namespace kvevict {

StateForm state_form_of(const llama_model* model) {
  const llama_rope_type rope = llama_model_rope_type(model);
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  const auto latent = metadata_of(model, architecture + ".attention.key_length_mla");
  return {.has_cells = reason_not_evictable(model).empty(),
          .has_values = !latent || *latent == "0",
          .has_coordinates = rope == LLAMA_ROPE_TYPE_MROPE || rope == LLAMA_ROPE_TYPE_IMROPE,
          .has_windows = llama_model_n_swa(model) > 0,
          .has_tail = llama_model_is_hybrid(model),
          .has_index = has_index(model)};
}

StateForm form_up_to_keys(StateForm form) {
  form.ends_at_keys = true;
  form.has_values = false;
  form.has_tail = false;
  return form;
}

}  // namespace kvevict
