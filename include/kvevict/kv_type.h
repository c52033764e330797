#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace kvevict {

/// Element types of the K and V rows in the cache.
enum class KvType { kF32, kF16, kBf16, kQ8_0, kQ4_0 };

/// "f32", "f16", "bf16", "q8_0", "q4_0".
[[nodiscard]] std::string_view to_string(KvType type) noexcept;

/// The type of that name; nothing for an unknown one.
[[nodiscard]] std::optional<KvType> parse_kv_type(std::string_view name) noexcept;

/// All of them, in the order above.
[[nodiscard]] std::span<const KvType> all_kv_types() noexcept;

}  // namespace kvevict
