#pragma once

#include <memory>

#include "engine/kv_context.h"
#include "engine/state_rows.h"
#include "kvevict/model.h"

namespace kvevict {

/// A context of one token at a time. Alone in the cache a token sees itself only, so that its key depends on
/// its position by the rotation alone, in every layer: decoded at two positions, the one is the other
/// rotated.
class LoneToken {
 public:
  LoneToken(std::shared_ptr<const Model> model, SessionOptions options);

  /// Its rows at `position`. Errors: kUnsupported for a state that is not known, or of other layers than the
  /// model's file says.
  [[nodiscard]] StateRows decoded(Token token, std::int64_t position);

  /// Its keys alone, in the layers without a sliding window. Errors: as above.
  [[nodiscard]] StateRows decoded_keys(Token token, std::int64_t position);

 private:
  template <typename Read>
  [[nodiscard]] StateRows read(Token token, std::int64_t position, std::size_t n_layers, Read read);

  std::shared_ptr<const Model> model_;
  KvContext context_;
};

}  // namespace kvevict
