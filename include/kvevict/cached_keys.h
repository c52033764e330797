#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kvevict/export.h"
#include "kvevict/keep_plan.h"

namespace KVEVICT_PUBLIC kvevict {

/// What a policy wants to know about the keys that the cache holds.
struct KeyRequest {
  /// false: each key with the rotation of its own position taken back, so that two keys differ by what they
  /// say, not by where they stand. true: as they lie in the cache.
  bool is_rotated = false;

  friend bool operator==(const KeyRequest&, const KeyRequest&) = default;
};

/// The keys of one layer.
struct LayerKeys {
  std::span<const float> rows;  ///< `[rows, kv_heads, head_dim]`, dense.
  std::int64_t n_heads = 0;
  std::int64_t head_dim = 0;  ///< Elements.
};

/// The keys of what a cache holds, read when a plan asks for them, one layer at a time. Who makes a plan
/// passes one in `PolicyState::keys`: `Session` of its own cells, `view_keys.h` of plain tensors.
/// Thread safety: one thread at a time.
class CachedKeys {
 public:
  virtual ~CachedKeys() = default;

  /// What the cache holds, in original indices.
  [[nodiscard]] virtual const KeepPlan& held() const = 0;

  /// Layers whose keys can be read: all that hold a cache, but for those with a sliding window, which see no
  /// token that is old enough to be chosen.
  [[nodiscard]] virtual std::size_t n_layers() const = 0;

  /// Row r is the r-th token of `held().layer(layer)`. Valid until the next call. REQUIRES: layer <
  /// n_layers(). Throws what reading the cache does: `Error`, std::bad_alloc.
  [[nodiscard]] virtual LayerKeys layer(std::size_t layer) = 0;
};

}  // namespace kvevict
