#pragma once

#include <ggml.h>

#include "kvevict/kv_type.h"

namespace kvevict {

[[nodiscard]] ggml_type to_ggml(KvType type) noexcept;

}  // namespace kvevict
