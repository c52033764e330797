#pragma once

#include <cstdint>
#include <memory>

#include "kvevict/export.h"
#include "kvevict/policy.h"

struct llama_context;

namespace KVEVICT_PUBLIC kvevict {

struct LlamaCacheOptions {
  std::int32_t sequence = 0;  ///< The llama_seq_id that is evicted; every batch goes to it.
  PositionMode positions = PositionMode::kAbsolute;
  Schedule schedule = Schedule::kStreaming;
  /// Packed positions and ladders: tokens by which the cache may outgrow its budget while cells are free;
  /// >= 0.
  std::int64_t n_slack = 64;
};

/// Counts in tokens.
struct LlamaCacheStats {
  std::int64_t n_tokens_seen = 0;
  std::int64_t n_tokens_held = 0;
  std::int64_t n_evictions = 0;
  std::int64_t n_packs = 0;
};

/// Eviction by position for a program that has its own llama_context: one line before each
/// llama_decode keeps the cache within the policy's budget plus the batch.
///
///     kvevict::LlamaCache cache = kvevict::LlamaCache::bind(context, policy);
///     …
///     cache.before_decode(batch.n_tokens);
///     llama_decode(context, batch);
///
/// The context needs budget + the largest batch cells (padded to 256), n_seq_max 1 or kv_unified,
/// `swa_full` if the model has sliding windows, and batches without positions of their own
/// (`llama_batch_get_one`) or with those that follow llama_memory_seq_pos_max. What the program decodes or
/// removes at the end of the sequence in between is seen at the next call. From a hybrid model nothing can be
/// removed at the end: its state does not go back.
///
/// Owner: borrows the context, which must outlive the object. Thread safety: as the context's.
class LlamaCache {
 public:
  /// Binds to a sequence that is empty, or holds positions 0 … n − 1. Errors: kInvalidArgument
  /// (null, a sequence id beyond the context's, a sequence with holes, a stride in a stream),
  /// kUnsupported (models with nothing to evict; positions that llama.cpp cannot shift with packed or
  /// automatic positions, or with several sequences; sequences with cells of their own).
  [[nodiscard]] static LlamaCache bind(llama_context* context, std::shared_ptr<const Policy> policy,
                                       const LlamaCacheOptions& options = {});
  ~LlamaCache();
  LlamaCache(LlamaCache&&) noexcept;
  LlamaCache& operator=(LlamaCache&&) noexcept;

  /// Makes room for a batch of `n_tokens` >= 1 tokens that is decoded next. If the batch would pass the
  /// budget, it evicts what the plan for the tokens seen so far drops. It packs positions if the options say
  /// so. Returns the position of the batch's first token.
  /// Errors: kInvalidArgument if the batch cannot fit the context's cells even then (the sentence
  /// says how many are free), kUnsupported if the program left holes in the sequence.
  std::int64_t before_decode(std::int64_t n_tokens);

  /// Evicts now, whatever room there is. Returns the number of tokens that went.
  std::int64_t evict();

  /// The original indices that `evict` would leave: nothing is changed.
  [[nodiscard]] KeepPlan plan();

  [[nodiscard]] KeepPlan held() const;
  [[nodiscard]] LlamaCacheStats stats() const noexcept;

 private:
  struct Impl;
  explicit LlamaCache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
