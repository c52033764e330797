#include "engine/kv_context.h"

#include <malloc.h>

#include <algorithm>
#include <limits>
#include <string>

#include "base/processor_load.h"
#include "base/scope_guard.h"
#include "base/units.h"
#include "engine/batch.h"
#include "engine/kv_size.h"
#include "engine/llama_log.h"
#include "engine/new_context.h"
#include "engine/state_rows.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

[[noreturn]] void throw_decode_error(std::int32_t code, std::size_t n_tokens, const std::string& reason) {
  if (code == 2) throw Error(ErrorCode::kCancelled, "decoding was cancelled");
  const std::string what = "llama.cpp cannot decode a batch of " + std::to_string(n_tokens) +
                           " tokens (code " + std::to_string(code) + "): ";
  throw Error(ErrorCode::kEngine, what + (code == 1 ? "no free cells" : reason));
}

}  // namespace

KvContext::KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells,
                     std::optional<ScoreRequest> scores, int n_outputs, int n_streams)
    : model_(std::move(model)),
      options_(options),
      threads_(options),
      n_streams_(n_streams),
      is_in_use_(static_cast<std::size_t>(n_streams > 0 ? n_streams : options.n_sequences), false),
      n_outputs_(std::max(n_outputs, static_cast<int>(is_in_use_.size()))) {
  if (scores) {
    scores_ = std::make_unique<AttentionScores>(*scores, model_->info().cache_layers, options.n_threads);
  }
  install(make_context(padded_cells(n_cells)), padded_cells(n_cells));
}

LlamaContextHandle KvContext::make_context(std::int64_t n_cells) const {
  return make_llama_context(*model_, options_, n_cells, n_outputs_, scores_.get(), n_streams_);
}

void KvContext::require_shifts() const {
  kvevict::require_shifts(*model_, context_.get());
}

llama_context* KvContext::context(llama_seq_id sequence) const {
  if (context_ && !cells(sequence).is_lost()) return context_.get();
  throw Error(
      ErrorCode::kEngine,
      "this session lost its cache when llama.cpp failed while it was changed: load it or make it anew");
}

void KvContext::install(LlamaContextHandle context, std::int64_t n_cells) {
  // A sequence that shared its cells, and a sliding window, fill cells by rules that CellPlaces does not
  // follow.
  const bool is_known =
      !was_shared_ && llama_model_n_swa(model_->handle()) == 0 && !model_->info().cache_layers.empty();
  const CellPlaces places = is_known ? CellPlaces(n_cells) : CellPlaces();
  cells_.assign(static_cast<std::size_t>(std::max(1, n_streams_)),
                CellExecutor(context.get(), places, scores_.get()));
  context_ = std::move(context);
  n_cells_ = n_cells;
  // llama.cpp may have made the batch smaller than it was asked to.
  n_batch_ = static_cast<int>(llama_n_batch(context_.get()));
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes());
}

std::int64_t KvContext::kv_bytes() const noexcept {
  return kv_bytes_of(*model_, options_, n_cells_);
}

std::int64_t KvContext::state_bytes() const noexcept {
  if (!model_->info().has_state || !context_ || is_any_lost()) return 0;
  std::size_t most = 0;  // of a sequence: as llama.cpp hands its state out, without its cells
  for (std::size_t s = 0; s < is_in_use_.size(); ++s) {
    most = std::max(most, llama_state_seq_get_size_ext(context_.get(), static_cast<llama_seq_id>(s),
                                                       LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY));
  }
  return static_cast<std::int64_t>(most) * n_sharing();
}

void KvContext::note_copies(std::int64_t bytes, int n_states) noexcept {
  const std::int64_t in_states = state_bytes() / n_sharing() * n_states;  // not of K and V
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes() + std::max<std::int64_t>(0, bytes - in_states));
}

llama_seq_id KvContext::take_sequence() {
  if (has_streams() && n_sequences_in_use() == 0 && is_any_lost()) make_all_anew();
  for (std::size_t s = 0; s < is_in_use_.size(); ++s) {
    const auto sequence = static_cast<llama_seq_id>(s);
    if (is_in_use_[s] || (has_streams() && cells(sequence).is_lost())) continue;
    is_in_use_[s] = true;
    return sequence;
  }
  const std::string n = std::to_string(is_in_use_.size());
  throw Error(ErrorCode::kInvalidArgument,
              has_streams() ? "the pool has room for " + n +
                                  " sessions and all are open: close one, or make " + "the pool for more"
                            : "the context has " + n +
                                  " sequences and all are in use: make it with a larger n_sequences");
}

void KvContext::make_all_anew() {
  llama_memory_clear(llama_get_memory(context_.get()), false);
  const CellPlaces places = cells_.front().places().is_known() ? CellPlaces(n_cells_) : CellPlaces();
  cells_.assign(cells_.size(), CellExecutor(context_.get(), places));
}

void KvContext::release_sequence(llama_seq_id sequence) noexcept {
  is_in_use_[static_cast<std::size_t>(sequence)] = false;
  empty_sequence(sequence);
}

void KvContext::empty_sequence(llama_seq_id sequence) noexcept {
  CellExecutor& cells = this->cells(sequence);
  // Lost: there is no cell to free, llama.cpp must not be asked any more, and a destructor must not throw.
  if (!context_ || cells.is_lost()) return;
  llama_memory_seq_rm(llama_get_memory(context_.get()), sequence, -1, -1);
  cells.places().removed({0, std::numeric_limits<std::int32_t>::max()});
  const int n_others = n_sequences_in_use() - (is_in_use_[static_cast<std::size_t>(sequence)] ? 1 : 0);
  if (scores_ && (sequence == recorded_sequence_ || n_others == 0)) scores_->forget();
  // Shifts that wait belong to cells that are gone: they would move those of the next sequence of this
  // number.
  if (sequence == cells.shifted_sequence()) cells.shifts_done();
}

std::int64_t KvContext::lowest_position(llama_seq_id sequence) const {
  return llama_memory_seq_pos_min(llama_get_memory(context(sequence)), sequence);
}

bool KvContext::is_any_lost() const noexcept {
  return std::any_of(cells_.begin(), cells_.end(), [](const CellExecutor& c) { return c.is_lost(); });
}

bool KvContext::has_waiting_shifts() const noexcept {
  return std::any_of(cells_.begin(), cells_.end(),
                     [](const CellExecutor& c) { return !c.waiting_shifts().empty(); });
}

int KvContext::n_sequences_in_use() const noexcept {
  return static_cast<int>(std::count(is_in_use_.begin(), is_in_use_.end(), true));
}

void KvContext::share(llama_seq_id from, llama_seq_id to) {
  if (has_streams()) {  // cells are never shared: the other sequence gets a copy
    const std::vector<std::uint8_t> rows = copy(from);
    put(to, rows, waiting_shifts(from));
    return;
  }
  if (has_waiting_shifts()) {
    // Shifts wait for one sequence. Once two sequences have the cells, `copy` could not take them back for
    // one of them: they are carried out first, and only a decode does that. Any token will do; its cell goes
    // again. A cache that was evicted to its last cell has none for it.
    if (count_occupied(from) >= n_cells_) resize(n_cells_ + 1);
    const BatchToken any{.token = 0, .position = 0, .sequence = to, .wants_logits = false};
    decode({&any, 1});
    --n_decode_calls_;
    --n_decoded_tokens_;
    llama_memory_seq_rm(llama_get_memory(context(to)), to, -1, -1);
  }
  was_shared_ = true;
  cells(from).places().forget();
  llama_memory_seq_cp(llama_get_memory(context(from)), from, to, -1, -1);
}

std::vector<std::uint8_t> KvContext::copy(llama_seq_id sequence) {
  static_cast<void>(context(sequence));
  return cells(sequence).copy(sequence);
}

StateRows KvContext::keys(llama_seq_id sequence) {
  const std::int64_t n_cells = count_cells(context(sequence), sequence);
  StateRows keys = cells(sequence).keys(sequence, key_copy_bytes(*model_, options_, n_cells));
  note_copies(static_cast<std::int64_t>(keys.bytes().size()), 0);
  return keys;
}

void KvContext::put(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                    std::span<const PositionShift> waiting) {
  static_cast<void>(context(sequence));
  cells(sequence).put(sequence, rows, waiting);
}

void KvContext::put_into(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                         std::span<const TokenRange> occupied, std::span<const PositionShift> waiting) {
  if (!occupied.empty() && occupied.back().end > n_cells_)
    throw Error(ErrorCode::kBadData, "the saved places of the cells lie beyond the context");
  static_cast<void>(context(sequence));
  cells(sequence).put_into(sequence, rows, occupied, waiting);
}

std::vector<TokenRange> KvContext::occupied_cells(llama_seq_id sequence, std::span<const std::uint8_t> rows) {
  const CellPlaces& places = cells(sequence).places();
  if (!places.is_known()) return {};
  // `rows` are as they were before the shifts that wait.
  CellPlaces before = places;
  const auto waiting = waiting_shifts(sequence);
  for (auto s = waiting.rbegin(); s != waiting.rend(); ++s)
    before.shifted({{s->positions.begin + s->delta, s->positions.end + s->delta}, -s->delta});
  return positions_of_rows(rows, cells(sequence).form()) == before.positions() ? before.occupied()
                                                                               : std::vector<TokenRange>();
}

void KvContext::carry_out(llama_seq_id sequence, const CellChanges& changes, const KeyRotator* rotator) {
  static_cast<void>(context(sequence));
  CellExecutor& cells = this->cells(sequence);
  // What was recorded is of the one sequence that had the cells alone; forks of it change theirs.
  const bool is_shared = !has_streams() && n_sequences_in_use() > 1;
  if (is_shared && sequence == recorded_sequence_ && scores_) scores_->forget();
  cells.follow(is_shared ? nullptr : scores_.get());
  cells.carry_out(sequence, changes, rotator);
  if (changes.arrangement) note_copies(cells.bytes_copied(), 2);
}

void KvContext::resize(std::int64_t n_cells) {
  if (padded_cells(n_cells) != n_cells_) rebuild(padded_cells(n_cells));
}

void KvContext::ensure_outputs(int n_tokens) {
  if (n_tokens <= n_outputs_) return;
  const OnFailure undo([this, n_before = n_outputs_] { n_outputs_ = n_before; });
  n_outputs_ = n_tokens;
  rebuild(n_cells_);
}

void KvContext::rebuild(std::int64_t n_cells) {
  // The state of all sequences has the cells of windows that slid on, for which a smaller context has no
  // room.
  const bool is_one = holds_windows(*model_, options_);
  const llama_seq_id copied_sequence = is_one ? 0 : kAllSequences;
  std::vector<std::uint8_t> rows = copy(copied_sequence);
  const std::vector<PositionShift> waiting(waiting_shifts(0).begin(), waiting_shifts(0).end());
  const llama_seq_id shifted = cells(0).shifted_sequence();
  const std::int64_t n_old = n_cells_;
  const auto copied = static_cast<std::int64_t>(rows.size());
  const int n_states = is_one ? 1 : n_sequences_in_use();
  note_copies(copied, n_states);
  was_shared_ = n_sequences_in_use() > 1;  // what is put back lies in known places if one sequence has it
  const auto refill = [&](std::int64_t n) {
    install(make_context(n), n);
    cells(0).put(copied_sequence, rows, {});
    cells(0).shift(shifted, waiting);
  };
  context_.reset();  // before the new one is made: the two together would be the peak
  {
    // Whatever fails, there is a context again in which everything is where it was, but for the holes.
    const OnFailure make_the_old_one_again([&] {
      context_.reset();
      refill(n_old);
    });
    refill(n_cells);
  }
  note_copies(copied, n_states);
  rows = {};
  malloc_trim(0);  // glibc keeps freed buffers below 32 MiB: hand them back to the system
}

void KvContext::decode(std::span<const BatchToken> batch) {
  for (const BatchToken& token : batch) static_cast<void>(context(token.sequence));
  llama_context* const llama = context_.get();
  Batch arrays(batch);
  const LlamaLogCapture log;
  // An abort within llama.cpp's K-shift would leave some layers rotated and the shift still to be done.
  const bool rotates_first = has_waiting_shifts() && options_.cancel != nullptr && !model_->info().has_state;
  if (rotates_first) llama_set_abort_callback(llama, nullptr, nullptr);
  const OnExit listen_again([&] {
    if (rotates_first)
      llama_set_abort_callback(llama, is_cancelled, const_cast<std::atomic<bool>*>(options_.cancel));
  });
  std::int32_t code = -1;  // nothing was computed yet
  const OnFailure forget_batch([&] {
    // A state cannot go back; but for these two, by which a batch was refused before anything was computed.
    // llama.cpp moves the states of other sequences within a batch: all are lost then.
    const bool is_refused = code == -1 || code == 1;
    for (CellExecutor& cells : cells_) {
      if (model_->info().has_state && !is_refused) cells.lose();
    }
    forget(batch);
  });
  if (scores_) scores_->record(records_ && n_sequences_in_use() == 1);
  for (const BatchToken& token : batch) {  // what is recorded of it is no more that of its newest queries
    if (scores_ && !scores_->is_recording() && records_ && token.sequence == recorded_sequence_)
      scores_->forget();
  }
  threads_.apply(llama, threads_.follows() ? model_->processor_load().free_processors() : std::nullopt);
  code = llama_decode(llama, arrays.get());
  ++n_decode_calls_;
  // llama.cpp rotates the keys that wait before it computes, so even a decode that fails has rotated them;
  // but for -1: refused before anything was done.
  for (CellExecutor& cells : cells_) {
    if (code != -1) cells.shifts_done();
  }
  if (scores_) scores_->rethrow();
  if (code != 0) throw_decode_error(code, batch.size(), log.reason());
  for (const BatchToken& token : batch) cells(token.sequence).written(token.position, 1);
  if (scores_ && scores_->is_recording()) {
    scores_->require_sound(static_cast<std::size_t>(count_occupied(batch.front().sequence)));
    scores_->commit();
    recorded_sequence_ = batch.front().sequence;
  }
  n_decoded_tokens_ += static_cast<std::int64_t>(batch.size());
}

void KvContext::forget(std::span<const BatchToken> batch) noexcept {
  for (const BatchToken& token : batch) {
    CellExecutor& cells = this->cells(token.sequence);
    if (!cells.is_lost()) cells.forget(token.sequence, {token.position, token.position + 1});
  }
}

std::span<const float> KvContext::logits(std::size_t i) const {
  const float* const row = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(i));
  if (row == nullptr)
    throw Error(ErrorCode::kEngine, "llama.cpp gave no logits for a token that should have them");
  return {row, static_cast<std::size_t>(model_->info().n_vocab)};
}

}  // namespace kvevict
