#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "kvevict/session.h"

namespace kvevict {

struct PrefillSettings {
  /// Last prompt tokens that are decoded after the eviction (1), so that every answer token sees the
  /// evicted cache, or before it (0), as the Python demo does. Full prefill only.
  std::int64_t n_after_eviction = 1;
  /// Last prompt tokens that the policy knows nothing of: they are appended once the tokens before them were
  /// evicted, and come on top of the budget. `n_after_eviction` then has no meaning. 0: none.
  std::int64_t n_held_back = 0;
  std::int64_t n_new_tokens = 0;  ///< Room for the answer.
  bool is_last = false;           ///< Whether nothing but the answer comes behind this prompt.
  /// Called between the prefill and the eviction, outside of their times. Full prefill only.
  std::function<void()> on_filled{};
  /// Called with the number of prompt tokens that are in so far, batch by batch or chunk by chunk.
  std::function<void(std::int64_t n_done)> on_progress{};
};

struct PrefillReport {
  KeepPlan kept;  ///< Prompt tokens that the cache holds when the answer begins.
  std::int64_t kv_bytes_after_eviction = 0;
  double seconds_prefill = 0;
  double seconds_eviction = 0;
  double seconds_plan = 0;  ///< Of the eviction: the policy's plan, with the attention that it asks for.
  double seconds_move = 0;  ///< Of the eviction: the rest.
  double seconds_last = 0;  ///< The tokens decoded after the eviction.
};

/// Puts a whole prompt behind what the session has seen and evicts: once at its end, or all along in a
/// bounded prefill, as the session's options say. Afterwards `session.logits()` is what the answer goes on
/// from. Tokens that are held back are appended behind all evictions.
/// Errors: those of Session. If a full prefill would pass the trained context, or the positions of the prompt
/// and its answer would, the sentence says what to do instead.
PrefillReport prefill_prompt(Session& session, std::span<const Token> prompt,
                             const PrefillSettings& settings);

}  // namespace kvevict
