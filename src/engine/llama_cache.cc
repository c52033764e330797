#include "kvevict/llama_cache.h"

#include <functional>
#include <string>

#include "base/scope_guard.h"
#include "engine/cell_executor.h"
#include "engine/cells.h"
#include "engine/fitting.h"
#include "engine/model_traits.h"
#include "engine/sequence_record.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/simple_evict.h"

namespace kvevict {

struct KVEVICT_PRIVATE LlamaCache::Impl {
  llama_context* context;
  std::shared_ptr<const Policy> policy;
  LlamaCacheOptions options;
  SequenceRecord record;
  CellExecutor cells;

  [[nodiscard]] PolicyState& state() {
    if (options.schedule == Schedule::kStreaming) record.begin_stream();
    return record.state();
  }

  [[nodiscard]] std::int64_t n_cells() const { return llama_n_ctx(context); }

  /// Takes note of what the program decoded, or removed at the end, since the last call.
  void catch_up() {
    if (cells.is_lost()) {
      throw Error(ErrorCode::kEngine,
                  "memory ran out while the cells of this llama_context were changed: clear its sequence and "
                  "bind it anew");
    }
    const llama_pos last = llama_memory_seq_pos_max(llama_get_memory(context), options.sequence);
    if (last < 0) {
      record.clear();
      return;
    }
    const std::int64_t n_new = last + 1 - record.map().next_position();
    if (n_new != 0) cells.shifts_done();  // the program decoded, and llama.cpp rotated what waited
    if (n_new > 0) record.written(n_new);
    if (n_new < 0) static_cast<void>(record.trim(index_at(last) + 1));
    if (count_cells(context, options.sequence) != record.map().n_held()) {
      throw Error(ErrorCode::kUnsupported,
                  "the cache holds " + std::to_string(count_cells(context, options.sequence)) +
                      " tokens of sequence " + std::to_string(options.sequence) + " and not the " +
                      std::to_string(record.map().n_held()) +
                      " that the record knows: remove tokens only at the end of the sequence");
    }
  }

  /// The original index at a position of the sequence: packed positions pass over what was evicted.
  [[nodiscard]] std::int64_t index_at(std::int64_t position) const {
    std::int64_t index = record.map().n_seen() - record.map().next_position() + position;
    for (const HeldRun& run : record.map().runs()) {
      if (position >= run.first_position) index = run.indices.begin + position - run.first_position;
    }
    return index;
  }

  bool retain(const KeepPlan& keep) {
    if (!record.drops_tokens(keep)) return false;
    change([&] { return record.retain(keep); });
    return true;
  }

  /// Changes the record and then the cells as it says; on any exception both are as they were.
  void change(const std::function<CellChanges()>& change_record) {
    const OnFailure undo([this, before = record]() mutable { record = std::move(before); });
    cells.carry_out(options.sequence, change_record());
  }

  [[nodiscard]] KeepPlan planned() {
    return keep_before_chunk(*policy, state(), record.held(), record.map().n_seen());
  }
};

namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& why, const std::string& field = {}) {
  throw Error(code, "this llama_context cannot be bound: " + why, field);
}

/// What the context itself must be: a sequence of it whose cells can be told and changed.
void require_sound(llama_context* context, const LlamaCacheOptions& options) {
  const auto n_sequences = static_cast<std::int32_t>(llama_n_seq_max(context));
  if (const std::string why = reason_not_evictable(llama_get_model(context)); !why.empty())
    refuse(ErrorCode::kUnsupported, why);
  if (options.sequence < 0 || options.sequence >= n_sequences) {
    refuse(ErrorCode::kInvalidArgument,
           "it has the sequences 0 to " + std::to_string(n_sequences - 1) + ", not " +
               std::to_string(options.sequence),
           "sequence");
  }
  if (options.n_slack < 0) refuse(ErrorCode::kInvalidArgument, "n_slack is below 0", "n_slack");
  if (n_streams(context) > 1) {
    refuse(ErrorCode::kUnsupported,
           "its sequences have cells of their own: make it with kv_unified, or n_seq_max 1");
  }
  static_cast<void>(count_cells(context, options.sequence));  // throws for a state that is not known
}

/// What the policy and its positions need of a context that the program made.
void require_fitting(llama_context* context, const Policy& policy, const LlamaCacheOptions& options) {
  const llama_model* const model = llama_get_model(context);
  kvevict::require_fitting(model, "this model", policy, options.positions);
  const bool may_share = llama_n_seq_max(context) > 1;
  if (options.positions != PositionMode::kAbsolute && moves_by_rows(model)) {
    refuse(
        ErrorCode::kUnsupported,
        "llama.cpp cannot shift the positions of its model: use absolute positions, or a kvevict::Session, "
        "which rotates the keys itself",
        "positions");
  }
  if (options.positions != PositionMode::kAbsolute &&
      (may_share || !llama_memory_can_shift(llama_get_memory(context)))) {
    refuse(ErrorCode::kUnsupported,
           "its sequences may share keys, which cannot rotate for one of them alone: use "
           "absolute positions, or a context with n_seq_max 1",
           "positions");
  }
  if (policy.score_request()) {
    refuse(ErrorCode::kUnsupported, policy.spec().name +
                                        " chooses by attention, which a context shows only to "
                                        "the one who made it: use a kvevict::Session");
  }
  if (policy.key_request()) {
    refuse(ErrorCode::kUnsupported,
           policy.spec().name +
               " chooses by the cached keys, which are read and held against the model in "
               "contexts of a kvevict::Session: use one");
  }
  if (policy.is_per_layer() && (options.positions != PositionMode::kAbsolute || may_share)) {
    refuse(ErrorCode::kUnsupported, policy.spec().name +
                                        " keeps other tokens in each layer: it needs absolute "
                                        "positions and a context with n_seq_max 1");
  }
  if (policy.is_per_layer() && has_state(model)) {
    refuse(ErrorCode::kUnsupported,
           "some layers of its model keep a state, and a context does not tell which: use a kvevict::Session "
           "for a strategy that keeps other tokens in each layer");
  }
  if (options.schedule == Schedule::kStreaming) require_bound(policy, llama_model_n_layer(model));
}

}  // namespace

LlamaCache LlamaCache::bind(llama_context* context, std::shared_ptr<const Policy> policy,
                            const LlamaCacheOptions& options) {
  if (context == nullptr || !policy)
    throw Error(ErrorCode::kInvalidArgument, "a llama_context and a policy are needed");
  require_sound(context, options);
  require_fitting(context, *policy, options);
  const std::int64_t n_trained = llama_model_n_ctx_train(llama_get_model(context));
  LlamaCache cache(std::make_unique<Impl>(
      Impl{context, policy, options,
           SequenceRecord(policy, {.positions = options.positions,
                                   .n_slack = options.n_slack,
                                   .n_context_trained = n_trained,
                                   .n_layers = llama_model_n_layer(llama_get_model(context)),
                                   .keeps_newest = has_state(llama_get_model(context)),
                                   .has_distances = has_distances_in_attention(llama_get_model(context))}),
           CellExecutor(context)}));
  cache.impl_->catch_up();
  return cache;
}

LlamaCache::LlamaCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LlamaCache::~LlamaCache() = default;
LlamaCache::LlamaCache(LlamaCache&&) noexcept = default;
LlamaCache& LlamaCache::operator=(LlamaCache&&) noexcept = default;

std::int64_t LlamaCache::before_decode(std::int64_t n_tokens) {
  impl_->catch_up();
  if (n_tokens < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "a batch of " + std::to_string(n_tokens) + " tokens: 1 or more is needed");
  }
  SequenceRecord& record = impl_->record;
  const std::optional<std::int64_t> budget = impl_->policy->budget_tokens(impl_->state());
  const std::int64_t n_free_before = impl_->n_cells() - count_cells(impl_->context, kAllSequences);
  const bool outgrows = record.map().n_held() + n_tokens > budget.value_or(kMaxTokens) + record.slack();
  if (budget && (outgrows || n_tokens > n_free_before)) impl_->retain(impl_->planned());
  if (record.must_pack(n_tokens)) impl_->change([&] { return record.pack(); });
  const std::int64_t n_free = impl_->n_cells() - count_cells(impl_->context, kAllSequences);
  if (n_tokens > n_free) {
    throw Error(ErrorCode::kInvalidArgument,
                "a batch of " + std::to_string(n_tokens) + " tokens does not fit the " +
                    std::to_string(n_free) + " free of " + std::to_string(impl_->n_cells()) +
                    " cells: use smaller batches, a smaller budget or a larger n_ctx");
  }
  return record.map().next_position();
}

std::int64_t LlamaCache::evict() {
  impl_->catch_up();
  const std::int64_t n_before = impl_->record.map().n_held();
  impl_->retain(impl_->planned());
  return n_before - impl_->record.map().n_held();
}

KeepPlan LlamaCache::plan() {
  impl_->catch_up();
  PolicyState state = impl_->state();
  return keep_before_chunk(*impl_->policy, state, impl_->record.held(), impl_->record.map().n_seen());
}

KeepPlan LlamaCache::held() const {
  return impl_->record.held();
}

LlamaCacheStats LlamaCache::stats() const noexcept {
  const SequenceRecord& record = impl_->record;
  return {.n_tokens_seen = record.map().n_seen(),
          .n_tokens_held = record.map().n_held(),
          .n_evictions = record.n_evictions(),
          .n_packs = record.n_packs()};
}

}  // namespace kvevict
