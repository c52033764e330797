#include "engine/fitting.h"

#include "engine/model_traits.h"
#include "kvevict/error.h"

namespace kvevict {

void require_fitting(const llama_model* model, const std::string& name, const Policy& policy,
                     PositionMode positions) {
  if (const std::string why = reason_not_evictable(model); !why.empty() && policy.spec().name != "full") {
    throw Error(ErrorCode::kUnsupported,
                "there is nothing to evict from " + name + ": " + why + "; use it with the strategy full",
                "strategy");
  }
  if (policy.needs_layers_apart() && positions != PositionMode::kPacked &&
      has_distances_in_attention(model)) {
    throw Error(
        ErrorCode::kUnsupported,
        policy.spec().name + " keeps other tokens in each layer, and the attention of " + name +
            " goes by the distance of cells (ALiBi): use packed positions with it, or a strategy that "
            "keeps the same tokens in all layers",
        "strategy");
  }
  const std::string reason = reason_not_shiftable(model);
  if (!reason.empty() && positions != PositionMode::kAbsolute) {
    throw Error(
        ErrorCode::kUnsupported,
        "the positions of " + name + " cannot be shifted (" + reason + "): use absolute positions with it",
        "positions");
  }
  const bool has_windows = llama_model_n_swa(model) > 0;
  if (has_windows && (policy.is_per_layer() || policy.score_request())) {
    throw Error(ErrorCode::kUnsupported,
                policy.spec().name + " arranges the rows of each layer anew, which the cache of " + name +
                    " does not allow (layers of it see a sliding window): choose a strategy that goes by "
                    "position and keeps the same tokens in all layers",
                "strategy");
  }
}

}  // namespace kvevict
