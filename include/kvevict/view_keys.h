#pragma once

#include <memory>
#include <optional>

#include "kvevict/cached_keys.h"
#include "kvevict/dynamic_cache.h"
#include "kvevict/export.h"
#include "kvevict/rerotate.h"

namespace KVEVICT_PUBLIC kvevict {

/// The keys of a cache of plain tensors, for a policy that asks for keys (`PolicyState::keys`):
///
///     const auto keys = keys_of(cache, rope);
///     PolicyState state{.n_layers = n_layers, .keys = keys.get()};
///     evict_to_plan(cache, policy->plan(cache.seen_tokens(), state));
///
/// `rope`: the rotary embedding of the keys, which is taken back by each row's own position (`rope_pos`);
/// nothing for keys without rotation, and for a policy that asks for keys as they lie
/// (`KeyRequest::is_rotated`). Sequences of a batch count as further heads. One layer is held as f32 at a
/// time. Borrows the cache, which must not change while it lives.
/// Errors of `CachedKeys::layer`: those of rotate_keys_back_into (other types than f32, f16 and bf16; device
/// memory; a rope that does not fit the width).
[[nodiscard]] std::unique_ptr<CachedKeys> keys_of(const DynamicCache& cache,
                                                  const std::optional<RopeConfig>& rope);

}  // namespace kvevict
