#pragma once
// NOLINTBEGIN(readability-identifier-naming): C names

// kvevict for C11, and for every language that can call C: policies and plans here, the cache of a
// llama_context in kvevict_c_llama.h.
//
// Errors: a function returns KVEVICT_OK, or what went wrong; `kvevict_last_error` then says it in a sentence.
// A null pointer is refused with KVEVICT_INVALID_ARGUMENT where no line says that it may be null. A handle
// that could not be made is NULL afterwards; other results are left as they were. No exception leaves a
// function. Ownership: whoever makes a handle frees it, in any order: handles keep what they need alive.
// Freeing NULL does nothing. What a function lends (`const char*`, ranges) belongs to the handle that it was
// asked of. Thread safety: a policy may be used by several threads; every other handle by one thread at a
// time. Units: counts are tokens, indices are original ones: the first token of the sequence is 0.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvevict/version.h"

/// The version of these headers as a number: 100 for 0.1.0, 10203 for 1.2.3.
#define KVEVICT_C_VERSION \
  (KVEVICT_VERSION_MAJOR * 10000 + KVEVICT_VERSION_MINOR * 100 + KVEVICT_VERSION_PATCH)
#define KVEVICT_NO_BUDGET (-1)      ///< A policy without a bound.
#define KVEVICT_ANY_POSITIONS (-1)  ///< A policy that works with every `kvevict_positions`.

#ifdef __cplusplus
extern "C" {
#pragma GCC visibility push(default)
#endif

typedef enum kvevict_status {
  KVEVICT_OK = 0,
  KVEVICT_INVALID_ARGUMENT = 1,  ///< A value that the caller gave is impossible.
  KVEVICT_NOT_FOUND = 2,         ///< A file that should be there is not.
  KVEVICT_BAD_DATA = 3,          ///< Something that was read is not what it should be.
  KVEVICT_UNSUPPORTED = 4,       ///< The model, the cache or the build cannot do what was asked.
  KVEVICT_OUT_OF_MEMORY = 5,
  KVEVICT_IO = 6,
  KVEVICT_CANCELLED = 7,
  KVEVICT_ENGINE = 8,    ///< llama.cpp reported a failure that none of the above names.
  KVEVICT_INTERNAL = 9,  ///< A fault that the library did not foresee.
} kvevict_status;

/// How a policy chooses the middle while more tokens come: `kvevict::Schedule`.
enum kvevict_schedule { KVEVICT_ONE_SHOT = 0, KVEVICT_STREAMING = 1 };

/// How the kept tokens are seen by the rotary embedding: `kvevict::PositionMode`.
enum kvevict_positions { KVEVICT_ABSOLUTE = 0, KVEVICT_PACKED = 1, KVEVICT_AUTO = 2 };

typedef struct kvevict_policy kvevict_policy;      ///< A rule which tokens stay.
typedef struct kvevict_sequence kvevict_sequence;  ///< What a policy remembers of one sequence between plans.
typedef struct kvevict_plan kvevict_plan;          ///< Which tokens stay, in each layer.

typedef struct kvevict_range {
  int64_t begin;  ///< The first token.
  int64_t end;    ///< One behind the last token.
} kvevict_range;

typedef struct kvevict_policy_info {
  const char* strategy;  ///< The grammar's text for it: "sink_recent:4:60".
  const char* name;      ///< Its name and the version of its rule: "sink_recent/1".
  bool keeps_all;        ///< No plan ever drops a token.
  bool is_per_layer;     ///< Plans differ by layer: the number of layers is needed.
  bool needs_cache;   ///< It looks at attention or keys: a plan beyond its budget cannot be made from here.
  int32_t positions;  ///< The kvevict_positions that the method is defined by; or KVEVICT_ANY_POSITIONS.
  int64_t n_newest_kept;  ///< So many of the newest tokens are in every plan.
} kvevict_policy_info;

/// The library's version, which a shared library may have apart from the headers': as `KVEVICT_C_VERSION`,
/// and as text.
int32_t kvevict_c_version(void);
const char* kvevict_version(void);

/// The sentence of this thread's last call that failed; "" if none has. Valid until another fails.
const char* kvevict_last_error(void);

/// Number `index` of the strategies that are known, in the order of the listings. Static text.
kvevict_status kvevict_strategy_count(size_t* n_strategies);
kvevict_status kvevict_strategy_name(size_t index, const char** name);

/// The policy that a text of the grammar `name[:sink[:recent[:budget]]][:key=value…]` names.
kvevict_status kvevict_policy_make(const char* strategy, kvevict_policy** policy);
void kvevict_policy_free(kvevict_policy* policy);
kvevict_status kvevict_policy_describe(const kvevict_policy* policy, kvevict_policy_info* info);

/// Tokens per layer that a fresh sequence may hold before a plan must be made, or KVEVICT_NO_BUDGET.
/// `schedule`: a kvevict_schedule. `n_layers`: of the model, 0 if it is not known. Errors:
/// KVEVICT_INVALID_ARGUMENT for a stride in a stream too.
kvevict_status kvevict_policy_budget(const kvevict_policy* policy, int32_t schedule, int64_t n_layers,
                                     int64_t* n_tokens);

/// The memory of a policy for a sequence that is empty as yet; the rest as in `kvevict_policy_budget`.
kvevict_status kvevict_sequence_make(const kvevict_policy* policy, int32_t schedule, int64_t n_layers,
                                     kvevict_sequence** sequence);
void kvevict_sequence_free(kvevict_sequence* sequence);

/// A sequence of its own that goes on from where this one is.
kvevict_status kvevict_sequence_copy(const kvevict_sequence* sequence, kvevict_sequence** copy);

/// The tokens to keep once `n_tokens_seen` tokens have been seen in all. The caller carries the plan out: a
/// later plan of the sequence asks for no token that this one drops. Errors: KVEVICT_INVALID_ARGUMENT for a
/// stride in a stream, and if the number of layers or attention is needed and not there.
kvevict_status kvevict_sequence_plan(kvevict_sequence* sequence, int64_t n_tokens_seen, kvevict_plan** plan);

/// As `kvevict_policy_budget`, of this sequence: a stride has a bound once a plan has frozen its middle.
kvevict_status kvevict_sequence_budget(const kvevict_sequence* sequence, int64_t* n_tokens);

/// The sequence was cut to its first `n_tokens` tokens. `held`: what its cache held (tokens from `n_tokens`
/// on count for nothing).
kvevict_status kvevict_sequence_trim(kvevict_sequence* sequence, int64_t n_tokens, const kvevict_plan* held);

/// The first plan of a fresh sequence, in one call.
kvevict_status kvevict_plan_make(const kvevict_policy* policy, int64_t n_tokens_seen, int32_t schedule,
                                 int64_t n_layers, kvevict_plan** plan);
void kvevict_plan_free(kvevict_plan* plan);

/// Number of layers that have a set of their own; 0 for one set that all layers share.
kvevict_status kvevict_plan_layers(const kvevict_plan* plan, int64_t* n_layers);

/// Most tokens that a layer keeps.
kvevict_status kvevict_plan_count(const kvevict_plan* plan, int64_t* n_tokens);

/// The tokens that `layer` keeps: sorted ranges that never touch. Any layer >= 0 of a shared plan, else one
/// of the plan's. Lent until the plan is freed or appended to. O(1).
kvevict_status kvevict_plan_ranges(const kvevict_plan* plan, int64_t layer, const kvevict_range** ranges,
                                   size_t* n_ranges);

/// The same tokens one by one, in ascending order, into `indices` of `capacity` numbers (NULL if 0).
/// `n_tokens` is how many there are, written even if they do not fit: KVEVICT_INVALID_ARGUMENT then, unless
/// `indices` is NULL.
kvevict_status kvevict_plan_indices(const kvevict_plan* plan, int64_t layer, int64_t* indices,
                                    size_t capacity, size_t* n_tokens);

/// Adds the tokens [begin, end) to every layer, behind those that are kept: a plan that was carried out goes
/// on saying what the cache holds while tokens are written.
kvevict_status kvevict_plan_append(kvevict_plan* plan, int64_t begin, int64_t end);

#ifdef __cplusplus
#pragma GCC visibility pop
}
#endif
// NOLINTEND(readability-identifier-naming)

#include "kvevict/kvevict_c_llama.h"
