#include "kvevict/memory.h"

#include <algorithm>
#include <string>

#include "base/units.h"
#include "engine/cell_needs.h"
#include "engine/kv_size.h"
#include "engine/trained_context.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// What a run does, as far as memory goes; the steps are those of `prefill_prompt` and `Session::generate`.
class RunPlan {
 public:
  /// `options`: resolved.
  RunPlan(const Model& model, const Policy& policy, const SessionOptions& options, const RunSize& size)
      : model_(model),
        policy_(policy),
        options_(options),
        n_layers_(model.info().n_cache_layers()),
        n_trained_(context_limit(model)),
        bytes_per_token_(model.kv_bytes_per_token(options.type_k, options.type_v)),
        window_bytes_per_token_(model.window_bytes_per_token(options.type_k, options.type_v)),
        n_window_(model.info().n_window),
        n_slack_(decode_slack(policy, *options.positions, options.n_decode_slack)),
        packs_by_rows_(packs_by_rows(model)),
        is_arranged_(policy.is_per_layer() || policy.score_request() ||
                     (packs_by_rows_ && *options.positions == PositionMode::kPacked)),
        is_any_length_(size.n_prompt >= kAnyLength),
        packs_late_(*options.positions == PositionMode::kAuto && n_trained_ > 0 &&
                    size.n_prompt + size.n_new - 1 > n_trained_),
        n_prompt_(size.n_prompt),
        n_new_(size.n_new),
        n_after_eviction_(size.n_after_eviction) {}

  MemoryNeeded needed() {
    if (options_.prefill == PrefillMode::kFull) {
      prefill_in_full();
    } else {
      prefill_bounded();
    }
    return needed_;
  }

 private:
  void prefill_in_full();
  void prefill_bounded();
  void stream_chunks(std::int64_t budget, std::int64_t n_bound);
  void answer(std::int64_t n_held, std::optional<std::int64_t> budget);

  [[nodiscard]] std::int64_t cell_bytes(std::int64_t n_tokens) const {
    return kv_bytes_of(model_, options_, padded_cells(n_tokens));
  }

  /// Bytes of a copy of the rows of `n` cells: llama.cpp's session state (`StateRows`).
  [[nodiscard]] std::int64_t row_bytes(std::int64_t n) const {
    constexpr std::int64_t kHead = 24, kOfCell = 12, kOfLayer = 24;
    const std::int64_t n_gone =
        holds_windows(model_, options_) ? std::max<std::int64_t>(0, n - n_window_) : 0;
    const std::int64_t rows = n * bytes_per_token_ - n_gone * window_bytes_per_token_;
    return n > 0 ? 2 * kHead + n_layers_ * kOfLayer + 2 * n * kOfCell + rows : 0;
  }

  /// The cache has `n_tokens` cells from now on.
  void allocate(std::int64_t n_tokens) {
    needed_.n_cells = std::max(needed_.n_cells, padded_cells(n_tokens));
    needed_.kv_bytes = kv_bytes_of(model_, options_, needed_.n_cells);
    needed_.kv_bytes_after = cell_bytes(n_tokens);
    hold_beside(0);
  }

  /// So many bytes of rows lie beside the cells of now.
  void hold_beside(std::int64_t bytes) {
    needed_.kv_bytes_peak = std::max(needed_.kv_bytes_peak, needed_.kv_bytes_after + bytes);
  }

  /// An eviction: one by keys copies them, one of rows that are arranged anew holds them twice beside the
  /// cells.
  void evict(std::int64_t n_before, std::int64_t n_after) {
    if (policy_.key_request())
      hold_beside(std::min(row_bytes(n_before), key_copy_bytes(model_, options_, n_before)));
    if (is_arranged_) hold_beside(row_bytes(n_before) + row_bytes(n_after));
  }

  /// Positions are packed beside `n` tokens: shifts, or rows that are arranged anew.
  void pack(std::int64_t n) {
    if (is_arranged_ || packs_by_rows_) hold_beside(2 * row_bytes(n));
  }

  void hold(std::int64_t n_tokens) { needed_.n_tokens_held = std::max(needed_.n_tokens_held, n_tokens); }

  /// All tokens of a run that nothing bounds: `Session` holds no more than the trained context.
  [[nodiscard]] std::int64_t n_all() const {
    const std::int64_t n = n_prompt_ + n_new_;
    if (n_trained_ == 0) return n;
    return is_any_length_ ? n_trained_ : std::min(n, std::max(n_prompt_, n_trained_));
  }

  const Model& model_;
  const Policy& policy_;
  const SessionOptions& options_;
  std::int64_t n_layers_, n_trained_, bytes_per_token_, window_bytes_per_token_, n_window_, n_slack_;
  bool packs_by_rows_;  // llama.cpp does not shift the positions of the model
  bool is_arranged_;    // rows, at every eviction
  bool is_any_length_;  // of the prompt
  bool packs_late_;     // automatic positions reach the trained context
  std::int64_t n_prompt_, n_new_, n_after_eviction_;
  MemoryNeeded needed_;
};

void RunPlan::prefill_in_full() {
  constexpr std::int64_t kLongestPlan = 1 << 20;  // of a model that does not say its context
  if (is_any_length_) n_prompt_ = n_trained_ > 0 ? n_trained_ : kLongestPlan;
  PolicyState state{.n_layers = n_layers_};
  const std::int64_t n_kept = count_kept_at_once(policy_, state, n_prompt_);
  const std::optional<std::int64_t> budget = policy_.budget_tokens(state);
  if (n_kept == n_prompt_) {
    const std::int64_t n_room =
        budget ? cells_before_eviction(policy_, n_layers_, n_slack_, n_prompt_, n_new_) : n_all();
    allocate(n_room);
    hold(n_room);
  } else {
    const std::int64_t n_first = std::max<std::int64_t>(n_prompt_ - n_after_eviction_, 0);
    allocate(n_first);
    hold(n_first);
    evict(n_first, n_kept);
    const std::int64_t n_room = cells_after_eviction(policy_, state, n_slack_, n_kept, n_new_);
    const bool is_moved = padded_cells(n_room) != padded_cells(n_first);
    if (is_moved) hold_beside(row_bytes(n_kept));
    allocate(n_room);
    if (is_moved) hold_beside(row_bytes(n_kept));
    hold(n_room);
  }
  answer(n_kept, budget);
}

void RunPlan::prefill_bounded() {
  if (n_layers_ > 0) require_bound(policy_, n_layers_);
  const auto budget = policy_.budget_tokens({.schedule = Schedule::kStreaming, .n_layers = n_layers_});
  if (budget) {
    stream_chunks(*budget, cells_in_stream(*budget, options_.n_chunk, n_slack_));
    return;
  }
  allocate(n_all());
  hold(n_all());
  if (is_any_length_) hold_beside(row_bytes(n_all()));  // enlarged as the text comes
}

void RunPlan::stream_chunks(std::int64_t budget, std::int64_t n_bound) {
  const std::int64_t n_chunk = options_.n_chunk;
  allocate(std::min(n_bound, n_prompt_ + n_new_));
  const std::int64_t n_last = n_prompt_ > 0 ? (n_prompt_ - 1) % n_chunk + 1 : 0;
  const std::int64_t n_before_last = n_prompt_ - n_last;
  std::int64_t n_held = n_prompt_;
  if (n_before_last > budget) {
    const std::int64_t n_first = (budget / n_chunk + 1) * n_chunk;  // held at the first eviction
    const std::int64_t n_evicted = n_before_last >= n_first + n_chunk ? budget + n_chunk : n_first;
    evict(n_evicted, budget);
    hold(n_evicted);
    n_held = budget + n_last;
  }
  if (packs_late_ && n_chunk > std::min(options_.n_batch, options_.n_ubatch)) pack(n_bound);
  answer(n_held, budget);
}

void RunPlan::answer(std::int64_t n_held, std::optional<std::int64_t> budget) {
  const std::int64_t n_appended = std::max<std::int64_t>(n_new_ - 1, 0);  // the last token never is
  hold(n_held);
  if (!budget) return;
  const std::int64_t n_most = *budget + n_slack_;
  hold(std::min(n_held + n_appended, n_most));
  const bool is_over = n_held + 1 > n_most;
  if (is_over && n_appended > 0) evict(n_held, *budget);
  if ((is_over ? *budget - 1 : n_held) + n_appended > n_most) evict(n_most, *budget);
  if (packs_late_) pack(n_most);  // what is beyond was evicted before
}

}  // namespace

MemoryNeeded memory_needed(const Model& model, const Policy& policy, const SessionOptions& options,
                           const RunSize& size) {
  if (size.n_prompt < 0 || size.n_new < 0 || size.n_after_eviction < 0) {
    throw Error(ErrorCode::kInvalidArgument, "a run of " + std::to_string(size.n_prompt) + " and " +
                                                 std::to_string(size.n_new) +
                                                 " tokens was asked about: 0 or more are needed");
  }
  const SessionOptions resolved = resolved_options(model, policy, options);
  return RunPlan(model, policy, resolved, size).needed();
}

}  // namespace kvevict
