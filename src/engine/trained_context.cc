#include "engine/trained_context.h"

#include <string>

#include "engine/cells.h"
#include "engine/model_traits.h"
#include "kvevict/error.h"

namespace kvevict {

std::int64_t context_limit(const Model& model) {
  return model.info().cache_layers.empty() ? 0 : model.info().n_context_trained;
}

void require_trained_positions(const Model& model, const SessionOptions& options, std::int64_t n_tokens) {
  const std::int64_t n_trained = context_limit(model);
  const bool may_pass = options.past_trained_context && !has_learned_positions(model.handle());
  if (options.positions != PositionMode::kAbsolute || may_pass) return;
  if (n_trained == 0 || n_tokens <= n_trained) return;
  throw Error(ErrorCode::kInvalidArgument,
              "absolute positions would run to " + std::to_string(n_tokens - 1) + ", but " +
                  model.info().name + " was trained on contexts of " + std::to_string(n_trained) + ": " +
                  (model.info().can_shift_positions ? "use automatic or packed ones, " : "") +
                  "shorten the text, or ask for fewer new tokens",
              "positions");
}

}  // namespace kvevict
