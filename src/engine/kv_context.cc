#include "engine/kv_context.h"

#include <malloc.h>

#include <algorithm>
#include <string>

#include "base/processors.h"
#include "base/units.h"
#include "engine/batch.h"
#include "engine/ggml_types.h"
#include "engine/llama_log.h"
#include "engine/state_rows.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

llama_flash_attn_type to_llama(FlashAttention flash) {
  switch (flash) {
    case FlashAttention::kOn:
      return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    case FlashAttention::kOff:
      return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    case FlashAttention::kAuto:
      break;
  }
  return LLAMA_FLASH_ATTN_TYPE_AUTO;
}

bool is_cancelled(void* cancel) {
  return static_cast<const std::atomic<bool>*>(cancel)->load(std::memory_order_relaxed);
}

[[noreturn]] void throw_decode_error(std::int32_t code, std::size_t n_tokens, const std::string& reason) {
  if (code == 2) throw Error(ErrorCode::kCancelled, "decoding was cancelled");
  const std::string what = "llama.cpp cannot decode a batch of " + std::to_string(n_tokens) +
                           " tokens (code " + std::to_string(code) + "): ";
  throw Error(ErrorCode::kEngine, what + (code == 1 ? "no free cells" : reason));
}

}  // namespace

KvContext::KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells)
    : model_(std::move(model)),
      options_(options),
      is_in_use_(static_cast<std::size_t>(options.n_sequences), false),
      n_outputs_(options.n_sequences) {
  if (options.scores) {
    scores_ =
        std::make_unique<AttentionScores>(*options.scores, static_cast<std::size_t>(model_->info().n_layers));
  }
  install(make_context(padded_cells(n_cells)), padded_cells(n_cells));
}

LlamaContextHandle make_llama_context(const Model& model, const SessionOptions& options, std::int64_t n_cells,
                                      int n_outputs, AttentionScores* scores) {
  const int n_threads = options.n_threads > 0 ? options.n_threads : usable_processors();
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(n_cells);
  params.n_batch = static_cast<std::uint32_t>(options.n_batch);
  params.n_ubatch = static_cast<std::uint32_t>(options.n_ubatch);
  params.n_seq_max = static_cast<std::uint32_t>(options.n_sequences);
  params.kv_unified = options.n_sequences > 1;  // forks share cells
  params.n_outputs_max = static_cast<std::uint32_t>(n_outputs);
  params.n_threads = n_threads;
  params.n_threads_batch = n_threads;
  params.flash_attn_type = to_llama(options.flash_attention);
  params.type_k = to_ggml(options.type_k);
  params.type_v = to_ggml(options.type_v);
  params.swa_full = true;  // sliding-window layers too keep what the plan keeps
  params.no_perf = true;
  if (options.cancel != nullptr) {
    params.abort_callback = is_cancelled;
    params.abort_callback_data = const_cast<std::atomic<bool>*>(options.cancel);
  }
  if (scores != nullptr) {
    params.cb_eval = AttentionScores::on_tensor;
    params.cb_eval_user_data = scores;
  }
  const LlamaLogCapture log;
  LlamaContextHandle context(llama_init_from_model(model.handle(), params));
  if (!context) {
    const std::int64_t bytes = n_cells * model.kv_bytes_per_token(options.type_k, options.type_v);
    const bool is_memory = log.text().find("alloc") != std::string::npos;
    throw Error(is_memory ? ErrorCode::kOutOfMemory : ErrorCode::kEngine,
                "llama.cpp cannot make a context of " + std::to_string(n_cells) + " cells (" +
                    std::to_string(bytes >> 20) + " MiB of K and V): " + log.reason());
  }
  if (options.positions != PositionMode::kAbsolute &&
      !llama_memory_can_shift(llama_get_memory(context.get()))) {
    throw Error(ErrorCode::kUnsupported, "the positions of " + model.info().name +
                                             " cannot be shifted: use absolute positions with it");
  }
  return context;
}

LlamaContextHandle KvContext::make_context(std::int64_t n_cells) const {
  return make_llama_context(*model_, options_, n_cells, n_outputs_, scores_.get());
}

void KvContext::install(LlamaContextHandle context, std::int64_t n_cells) {
  context_ = std::move(context);
  n_cells_ = n_cells;
  n_batch_ = static_cast<int>(llama_n_batch(context_.get()));
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes());
}

std::int64_t KvContext::kv_bytes() const noexcept {
  return n_cells_ * model_->kv_bytes_per_token(options_.type_k, options_.type_v);
}

llama_seq_id KvContext::take_sequence() {
  const auto free = std::find(is_in_use_.begin(), is_in_use_.end(), false);
  if (free == is_in_use_.end()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the context has " + std::to_string(is_in_use_.size()) +
                    " sequences and all are in use: make it with a larger n_sequences");
  }
  *free = true;
  return static_cast<llama_seq_id>(free - is_in_use_.begin());
}

void KvContext::release_sequence(llama_seq_id sequence) noexcept {
  llama_memory_seq_rm(llama_get_memory(context_.get()), sequence, -1, -1);
  is_in_use_[static_cast<std::size_t>(sequence)] = false;
  if (scores_) scores_->trim(static_cast<std::size_t>(n_cells_), 0);
  if (sequence == shifted_sequence_) waiting_shifts_.clear();
}

int KvContext::n_sequences_in_use() const noexcept {
  return static_cast<int>(std::count(is_in_use_.begin(), is_in_use_.end(), true));
}

void KvContext::share(llama_seq_id from, llama_seq_id to) {
  if (!waiting_shifts_.empty()) {
    const BatchToken any{.token = 0, .position = 0, .sequence = to, .wants_logits = false};
    decode({&any, 1});
    --n_decode_calls_;
    --n_decoded_tokens_;
    llama_memory_seq_rm(llama_get_memory(context_.get()), to, -1, -1);
  }
  llama_memory_seq_cp(llama_get_memory(context_.get()), from, to, -1, -1);
}

std::vector<std::uint8_t> KvContext::copy(llama_seq_id sequence) {
  // Keys that wait to be turned would be copied with their new positions but the old rotation:
  // take the shift back, copy, and shift again.
  std::vector<PositionShift> backwards;
  for (auto s = waiting_shifts_.rbegin(); s != waiting_shifts_.rend(); ++s) {
    backwards.push_back({{s->positions.begin + s->delta, s->positions.end + s->delta}, -s->delta});
  }
  shift_positions(context_.get(), shifted_sequence_, backwards);
  try {
    std::vector<std::uint8_t> rows = copy_rows(context_.get(), sequence);
    shift_positions(context_.get(), shifted_sequence_, waiting_shifts_);
    return rows;
  } catch (const Error&) {
    shift_positions(context_.get(), shifted_sequence_, waiting_shifts_);
    throw;
  }
}

void KvContext::put(llama_seq_id sequence, std::span<const std::uint8_t> rows) {
  put_rows(context_.get(), sequence, rows);
}

void KvContext::arrange(llama_seq_id sequence, const CellArrangement& arrangement, const KeyTurner* turner) {
  const StateRows rows(copy(sequence));
  CellArrangement turned = arrangement;
  add_waiting_turns(turned, rows.positions(), waiting_shifts_);
  if (turner == nullptr && turns_keys(turned))
    throw Error(ErrorCode::kEngine, "keys would have to turn and nothing turns them");
  const std::vector<std::uint8_t> after = rows.arranged(turned, turner);
  kv_bytes_peak_ =
      std::max(kv_bytes_peak_, kv_bytes() + static_cast<std::int64_t>(rows.bytes().size() + after.size()));
  try {
    put_rows(context_.get(), sequence, after);
  } catch (const Error&) {
    put_rows(context_.get(), sequence, rows.bytes());
    shift_positions(context_.get(), sequence, waiting_shifts_);
    throw;
  }
  waiting_shifts_.clear();
  if (scores_) scores_->arrange(turned);
}

void KvContext::resize(std::int64_t n_cells) {
  if (padded_cells(n_cells) != n_cells_) rebuild(padded_cells(n_cells));
}

void KvContext::ensure_outputs(int n_tokens) {
  if (n_tokens <= n_outputs_) return;
  const int n_before = n_outputs_;
  n_outputs_ = n_tokens;
  try {
    rebuild(n_cells_);
  } catch (const Error&) {
    n_outputs_ = n_before;
    throw;
  }
}

void KvContext::rebuild(std::int64_t n_cells) {
  std::vector<std::uint8_t> rows = copy(kAllSequences);
  const std::int64_t n_old = n_cells_;
  const auto copied = static_cast<std::int64_t>(rows.size());
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes() + copied);
  context_.reset();
  const auto refill = [&] {
    put_rows(context_.get(), kAllSequences, rows);
    shift_positions(context_.get(), shifted_sequence_, waiting_shifts_);
  };
  try {
    install(make_context(n_cells), n_cells);
  } catch (const Error&) {
    install(make_context(n_old), n_old);
    refill();
    throw;
  }
  refill();
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes() + copied);
  rows = {};
  malloc_trim(0);  // glibc keeps freed buffers below 32 MiB: hand them back to the system
}

void KvContext::decode(std::span<const BatchToken> batch) {
  Batch arrays(batch);
  const LlamaLogCapture log;
  // An abort within llama.cpp's K-shift would leave some layers turned and the shift still to be done.
  const bool turns_keys_first = !waiting_shifts_.empty() && options_.cancel != nullptr;
  if (turns_keys_first) llama_set_abort_callback(context_.get(), nullptr, nullptr);
  const std::int32_t code = llama_decode(context_.get(), arrays.get());
  if (turns_keys_first)
    llama_set_abort_callback(context_.get(), is_cancelled, const_cast<std::atomic<bool>*>(options_.cancel));
  ++n_decode_calls_;
  if (code != -1) waiting_shifts_.clear();  // -1: refused before anything was done
  try {
    if (scores_) scores_->require_memory();
    if (code != 0) throw_decode_error(code, batch.size(), log.reason());
    if (scores_) {
      scores_->require_sound(static_cast<std::size_t>(count_occupied()));
      scores_->commit();
    }
  } catch (const Error&) {
    forget(batch);
    throw;
  }
  n_decoded_tokens_ += static_cast<std::int64_t>(batch.size());
}

void KvContext::forget(std::span<const BatchToken> batch) {
  for (const BatchToken& token : batch) {
    const auto position = static_cast<llama_pos>(token.position);
    llama_memory_seq_rm(llama_get_memory(context_.get()), token.sequence, position, position + 1);
  }
  if (scores_) scores_->discard();
}

std::span<const float> KvContext::logits(std::size_t i) const {
  const float* const row = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(i));
  if (row == nullptr)
    throw Error(ErrorCode::kEngine, "llama.cpp gave no logits for a token that should have them");
  return {row, static_cast<std::size_t>(model_->info().n_vocab)};
}

void KvContext::remove(llama_seq_id sequence, std::span<const PositionRange> positions) {
  const auto n_before = static_cast<std::size_t>(scores_ ? count_occupied() : 0);
  remove_positions(context_.get(), sequence, positions);
  if (scores_ && !positions.empty()) scores_->trim(n_before, static_cast<std::size_t>(count_occupied()));
}

void KvContext::shift(llama_seq_id sequence, std::span<const PositionShift> shifts) {
  if (shifts.empty()) return;
  shift_positions(context_.get(), sequence, shifts);
  shifted_sequence_ = sequence;
  waiting_shifts_.insert(waiting_shifts_.end(), shifts.begin(), shifts.end());
}

}  // namespace kvevict
