#pragma once
// NOLINTBEGIN(readability-identifier-naming): C names

// Eviction by position for a C program that has its own llama_context: `kvevict::LlamaCache`. What
// kvevict_c.h says of errors, ownership and units holds here too. It is in the library that needs llama.cpp.

#include "kvevict/kvevict_c.h"

struct llama_context;

#ifdef __cplusplus
extern "C" {
#pragma GCC visibility push(default)
#endif

/// Thread safety: as the context's.
typedef struct kvevict_llama_cache kvevict_llama_cache;

typedef struct kvevict_llama_options {
  int32_t sequence;   ///< The llama_seq_id that is evicted; every batch goes to it. Default 0.
  int32_t positions;  ///< A kvevict_positions. Default KVEVICT_ABSOLUTE.
  int32_t schedule;   ///< A kvevict_schedule. Default KVEVICT_STREAMING.
  int64_t n_slack;  ///< Packed positions and ladders: tokens by which the cache may outgrow its budget where
                    ///< cells are free; >= 0. Default 64.
} kvevict_llama_options;

/// Counts in tokens.
typedef struct kvevict_llama_stats {
  int64_t n_tokens_seen;
  int64_t n_tokens_held;
  int64_t n_evictions;
  int64_t n_packs;
} kvevict_llama_stats;

/// Writes the defaults.
kvevict_status kvevict_llama_options_init(kvevict_llama_options* options);

/// Binds to a sequence that is empty, or holds positions 0 … n − 1. Borrows the context, which must outlive
/// the cache; the policy may be freed. `options` may be NULL: the defaults. What the context needs, and the
/// errors: `kvevict::LlamaCache` in llama_cache.h.
kvevict_status kvevict_llama_cache_bind(struct llama_context* context, const kvevict_policy* policy,
                                        const kvevict_llama_options* options, kvevict_llama_cache** cache);

/// Before its context is freed, or after: either is fine.
void kvevict_llama_cache_free(kvevict_llama_cache* cache);

/// Makes room for a batch of `n_tokens` >= 1 tokens that is decoded next. `position` (may be NULL): of the
/// batch's first token. Errors: KVEVICT_INVALID_ARGUMENT where the batch cannot fit the context's cells,
/// KVEVICT_UNSUPPORTED where the program left holes in the sequence.
kvevict_status kvevict_llama_cache_before_decode(kvevict_llama_cache* cache, int64_t n_tokens,
                                                 int64_t* position);

/// Evicts now, whatever room there is. `n_evicted` (may be NULL): the number of tokens that went.
kvevict_status kvevict_llama_cache_evict(kvevict_llama_cache* cache, int64_t* n_evicted);

/// What `kvevict_llama_cache_evict` would leave; nothing is changed.
kvevict_status kvevict_llama_cache_plan(kvevict_llama_cache* cache, kvevict_plan** plan);

/// What the cache holds, as of the last call.
kvevict_status kvevict_llama_cache_held(const kvevict_llama_cache* cache, kvevict_plan** held);
kvevict_status kvevict_llama_cache_stats(const kvevict_llama_cache* cache, kvevict_llama_stats* stats);

#ifdef __cplusplus
#pragma GCC visibility pop
}
#endif
// NOLINTEND(readability-identifier-naming)
