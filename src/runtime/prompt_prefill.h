#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kvevict/session.h"

namespace kvevict {

struct PrefillSettings {
  PrefillMode mode = PrefillMode::kFull;
  /// Last prompt tokens that are decoded after the eviction (1), so that every answer token sees the
  /// evicted cache, or before it (0), as the Python demo does. Full prefill only.
  std::int64_t n_after_eviction = 1;
  std::int64_t n_new_tokens = 0;  ///< Room for the answer.
};

struct PrefillReport {
  KeepPlan kept;  ///< Prompt tokens that the cache holds when the answer begins.
  std::int64_t kv_bytes_after_eviction = 0;
  double seconds_prefill = 0;
  double seconds_eviction = 0;
  double seconds_last = 0;  ///< The tokens decoded after the eviction.
};

/// Puts a whole prompt behind what the session has seen and evicts: in full and then once, or bounded all
/// along. Afterwards `session.logits()` is what the answer goes on from. Errors: those of Session; where a
/// full prefill would pass the trained context the sentence says how to do without.
PrefillReport prefill_prompt(Session& session, std::shared_ptr<const Policy> policy,
                             std::span<const Token> prompt, const PrefillSettings& settings);

}  // namespace kvevict
