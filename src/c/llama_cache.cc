#include "kvevict/llama_cache.h"

#include <memory>
#include <string>
#include <utility>

#include "c/guard.h"
#include "c/handles.h"
#include "kvevict/kvevict_c_llama.h"

using kvevict::Error;
using kvevict::ErrorCode;
using kvevict::LlamaCache;
using kvevict::LlamaCacheOptions;
using kvevict::PositionMode;
using kvevict::c::guarded;
using kvevict::c::guarded_handle;
using kvevict::c::require;

struct kvevict_llama_cache {
  LlamaCache cache;
};

namespace {

PositionMode positions_of(int32_t number) {
  switch (number) {
    case KVEVICT_ABSOLUTE:
      return PositionMode::kAbsolute;
    case KVEVICT_PACKED:
      return PositionMode::kPacked;
    case KVEVICT_AUTO:
      return PositionMode::kAuto;
    default:
      throw Error(ErrorCode::kInvalidArgument,
                  "the positions " + std::to_string(number) +
                      " are not known: KVEVICT_ABSOLUTE, KVEVICT_PACKED or KVEVICT_AUTO is needed",
                  "positions");
  }
}

LlamaCacheOptions options_of(const kvevict_llama_options* options) {
  if (options == nullptr) return {};
  return {.sequence = options->sequence,
          .positions = positions_of(options->positions),
          .schedule = kvevict::c::schedule_of(options->schedule),
          .n_slack = options->n_slack};
}

}  // namespace

kvevict_status kvevict_llama_options_init(kvevict_llama_options* options) {
  return guarded([&] {
    require(options, "kvevict_llama_options_init", "options");
    const LlamaCacheOptions defaults;
    *options = {.sequence = defaults.sequence,
                .positions = static_cast<int32_t>(defaults.positions),
                .schedule = static_cast<int32_t>(defaults.schedule),
                .n_slack = defaults.n_slack};
  });
}

kvevict_status kvevict_llama_cache_bind(struct llama_context* context, const kvevict_policy* policy,
                                        const kvevict_llama_options* options, kvevict_llama_cache** cache) {
  constexpr const char* kFunction = "kvevict_llama_cache_bind";
  return guarded_handle(cache, kFunction, "cache", [&] {
    require(context, kFunction, "context");
    require(policy, kFunction, "policy");
    return std::make_unique<kvevict_llama_cache>(
        kvevict_llama_cache{LlamaCache::bind(context, policy->policy, options_of(options))});
  });
}

void kvevict_llama_cache_free(kvevict_llama_cache* cache) {
  const std::unique_ptr<kvevict_llama_cache> owner(cache);
}

kvevict_status kvevict_llama_cache_before_decode(kvevict_llama_cache* cache, int64_t n_tokens,
                                                 int64_t* position) {
  return guarded([&] {
    require(cache, "kvevict_llama_cache_before_decode", "cache");
    const int64_t first = cache->cache.before_decode(n_tokens);
    if (position != nullptr) *position = first;
  });
}

kvevict_status kvevict_llama_cache_evict(kvevict_llama_cache* cache, int64_t* n_evicted) {
  return guarded([&] {
    require(cache, "kvevict_llama_cache_evict", "cache");
    const int64_t n_gone = cache->cache.evict();
    if (n_evicted != nullptr) *n_evicted = n_gone;
  });
}

kvevict_status kvevict_llama_cache_plan(kvevict_llama_cache* cache, kvevict_plan** plan) {
  constexpr const char* kFunction = "kvevict_llama_cache_plan";
  return guarded_handle(plan, kFunction, "plan", [&] {
    require(cache, kFunction, "cache");
    return std::make_unique<kvevict_plan>(cache->cache.plan());
  });
}

kvevict_status kvevict_llama_cache_held(const kvevict_llama_cache* cache, kvevict_plan** held) {
  constexpr const char* kFunction = "kvevict_llama_cache_held";
  return guarded_handle(held, kFunction, "held", [&] {
    require(cache, kFunction, "cache");
    return std::make_unique<kvevict_plan>(cache->cache.held());
  });
}

kvevict_status kvevict_llama_cache_stats(const kvevict_llama_cache* cache, kvevict_llama_stats* stats) {
  constexpr const char* kFunction = "kvevict_llama_cache_stats";
  return guarded([&] {
    require(cache, kFunction, "cache");
    require(stats, kFunction, "stats");
    const kvevict::LlamaCacheStats counts = cache->cache.stats();
    *stats = {.n_tokens_seen = counts.n_tokens_seen,
              .n_tokens_held = counts.n_tokens_held,
              .n_evictions = counts.n_evictions,
              .n_packs = counts.n_packs};
  });
}
