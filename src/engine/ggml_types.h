#pragma once

#include <ggml.h>

#include "kvevict/model.h"

namespace kvevict {

[[nodiscard]] ggml_type to_ggml(KvType type) noexcept;

}  // namespace kvevict
