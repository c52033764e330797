#include "kvevict/model.h"

#include <array>

#include "engine/ggml_types.h"

namespace kvevict {
namespace {

struct Row {
  KvType type;
  std::string_view name;
  ggml_type ggml;
};

constexpr std::array kRows = {
    Row{KvType::kF32, "f32", GGML_TYPE_F32},    Row{KvType::kF16, "f16", GGML_TYPE_F16},
    Row{KvType::kBf16, "bf16", GGML_TYPE_BF16}, Row{KvType::kQ8_0, "q8_0", GGML_TYPE_Q8_0},
    Row{KvType::kQ4_0, "q4_0", GGML_TYPE_Q4_0},
};
constexpr std::array kTypes = {KvType::kF32, KvType::kF16, KvType::kBf16, KvType::kQ8_0, KvType::kQ4_0};

const Row& row_of(KvType type) {
  return kRows[static_cast<std::size_t>(type)];
}

}  // namespace

std::string_view to_string(KvType type) noexcept {
  return row_of(type).name;
}

std::optional<KvType> parse_kv_type(std::string_view name) noexcept {
  for (const Row& row : kRows) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

std::span<const KvType> all_kv_types() noexcept {
  return kTypes;
}

ggml_type to_ggml(KvType type) noexcept {
  return row_of(type).ggml;
}

}  // namespace kvevict
