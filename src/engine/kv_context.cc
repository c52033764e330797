#include "engine/kv_context.h"

#include <malloc.h>

#include <algorithm>
#include <ranges>
#include <string>

#include "engine/ggml_types.h"
#include "engine/llama_log.h"
#include "engine/threads.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr llama_seq_id kSequence = 0;
constexpr std::int64_t kCellPadding = 256;

llama_flash_attn_type to_llama(FlashAttention flash) {
  switch (flash) {
    case FlashAttention::kOn: return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    case FlashAttention::kOff: return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    case FlashAttention::kAuto: break;
  }
  return LLAMA_FLASH_ATTN_TYPE_AUTO;
}

bool is_cancelled(void* cancel) { return static_cast<const std::atomic<bool>*>(cancel)->load(std::memory_order_relaxed); }

/// A batch of one sequence; llama.cpp borrows the arrays for the time of one call.
class Batch {
 public:
  Batch(std::span<const Token> tokens, std::int64_t first_position, bool wants_logits)
      : tokens_(tokens.begin(), tokens.end()),
        positions_(tokens.size()),
        n_sequences_(tokens.size(), 1),
        sequence_(kSequence),
        sequences_(tokens.size(), &sequence_),
        wants_logits_(tokens.size(), 0) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      positions_[i] = static_cast<llama_pos>(first_position + static_cast<std::int64_t>(i));
    }
    wants_logits_.back() = wants_logits ? 1 : 0;
  }

  [[nodiscard]] llama_batch get() {
    return {.n_tokens = static_cast<std::int32_t>(tokens_.size()),
            .token = tokens_.data(),
            .embd = nullptr,
            .pos = positions_.data(),
            .n_seq_id = n_sequences_.data(),
            .seq_id = sequences_.data(),
            .logits = wants_logits_.data()};
  }

 private:
  std::vector<llama_token> tokens_;
  std::vector<llama_pos> positions_;
  std::vector<std::int32_t> n_sequences_;
  llama_seq_id sequence_;
  std::vector<llama_seq_id*> sequences_;
  std::vector<std::int8_t> wants_logits_;
};

[[noreturn]] void throw_decode_error(std::int32_t code, std::size_t n_tokens, const std::string& reason) {
  if (code == 2) throw Error(ErrorCode::kCancelled, "decoding was cancelled");
  const std::string what = "llama.cpp cannot decode a batch of " + std::to_string(n_tokens) + " tokens (code " +
                           std::to_string(code) + "): ";
  throw Error(ErrorCode::kEngine, what + (code == 1 ? "no free cells" : reason));
}

}  // namespace

std::int64_t KvContext::padded(std::int64_t n_tokens) noexcept {
  return std::max<std::int64_t>(1, (n_tokens + kCellPadding - 1) / kCellPadding) * kCellPadding;
}

KvContext::KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells)
    : model_(std::move(model)), options_(options) {
  install(make_context(padded(n_cells)), padded(n_cells));
}

LlamaContextHandle KvContext::make_context(std::int64_t n_cells) const {
  const int n_threads = options_.n_threads > 0 ? options_.n_threads : usable_processors();
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(n_cells);
  params.n_batch = static_cast<std::uint32_t>(options_.n_batch);
  params.n_ubatch = static_cast<std::uint32_t>(options_.n_ubatch);
  params.n_seq_max = 1;
  params.n_outputs_max = 1;
  params.n_threads = n_threads;
  params.n_threads_batch = n_threads;
  params.flash_attn_type = to_llama(options_.flash_attention);
  params.type_k = to_ggml(options_.type_k);
  params.type_v = to_ggml(options_.type_v);
  params.swa_full = true;  // sliding-window layers too keep what the plan keeps
  params.no_perf = true;
  if (options_.cancel != nullptr) {
    params.abort_callback = is_cancelled;
    params.abort_callback_data = const_cast<std::atomic<bool>*>(options_.cancel);
  }
  const LlamaLogCapture log;
  LlamaContextHandle context(llama_init_from_model(model_->handle(), params));
  if (!context) {
    const std::int64_t bytes = n_cells * model_->kv_bytes_per_token(options_.type_k, options_.type_v);
    const bool is_memory = log.text().find("alloc") != std::string::npos;
    throw Error(is_memory ? ErrorCode::kOutOfMemory : ErrorCode::kEngine,
                "llama.cpp cannot make a context of " + std::to_string(n_cells) + " cells (" +
                    std::to_string(bytes >> 20) + " MiB of K and V): " + log.reason());
  }
  if (options_.positions == PositionMode::kPacked && !llama_memory_can_shift(llama_get_memory(context.get()))) {
    throw Error(ErrorCode::kUnsupported,
                "the positions of " + model_->info().name + " cannot be shifted: use absolute positions with it");
  }
  return context;
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

void KvContext::restore(std::span<const std::uint8_t> rows) {
  if (rows.empty()) return;
  if (llama_state_seq_set_data(context_.get(), rows.data(), rows.size(), kSequence) != rows.size()) {
    throw Error(ErrorCode::kEngine, "llama.cpp did not take back the cells that it had written itself");
  }
}

void KvContext::resize(std::int64_t n_cells) {
  const std::int64_t n_new = padded(n_cells);
  if (n_new == n_cells_) return;
  // Keys that wait to be turned would be copied with their new positions but the old rotation:
  // take the shift back, move, and shift again.
  const std::vector<PositionShift> shifts = pending_shifts_;
  std::vector<PositionShift> backwards;
  for (const PositionShift& s : std::views::reverse(shifts)) {
    backwards.push_back({{s.positions.begin + s.delta, s.positions.end + s.delta}, -s.delta});
  }
  apply_shifts(backwards);

  const LlamaLogCapture log;
  llama_memory_t memory = llama_get_memory(context_.get());
  std::vector<std::uint8_t> rows;
  if (llama_memory_seq_pos_max(memory, kSequence) >= 0) {
    rows.resize(llama_state_seq_get_size(context_.get(), kSequence));
    if (rows.empty() || llama_state_seq_get_data(context_.get(), rows.data(), rows.size(), kSequence) != rows.size()) {
      apply_shifts(shifts);
      throw Error(ErrorCode::kEngine, "llama.cpp cannot hand out its cells: " + log.reason());
    }
  }
  const std::int64_t n_old = n_cells_;
  const auto copied = static_cast<std::int64_t>(rows.size());
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes() + copied);
  context_.reset();
  try {
    install(make_context(n_new), n_new);
  } catch (const Error&) {
    install(make_context(n_old), n_old);
    restore(rows);
    apply_shifts(shifts);
    throw;
  }
  restore(rows);
  kv_bytes_peak_ = std::max(kv_bytes_peak_, kv_bytes() + copied);
  apply_shifts(shifts);
  rows = {};
  malloc_trim(0);  // glibc keeps freed buffers below 32 MiB: hand them back to the system
}

void KvContext::decode(std::span<const Token> tokens, std::int64_t first_position, bool wants_logits) {
  Batch batch(tokens, first_position, wants_logits);
  const LlamaLogCapture log;
  const std::int32_t code = llama_decode(context_.get(), batch.get());
  ++n_decode_calls_;
  pending_shifts_.clear();
  if (code != 0) {
    llama_memory_seq_rm(llama_get_memory(context_.get()), kSequence, static_cast<llama_pos>(first_position), -1);
    throw_decode_error(code, tokens.size(), log.reason());
  }
  if (!wants_logits) return;
  const float* const row = llama_get_logits_ith(context_.get(), -1);
  if (row == nullptr) throw Error(ErrorCode::kEngine, "llama.cpp gave no logits: " + log.reason());
  logits_.assign(row, row + model_->info().n_vocab);
}

void KvContext::remove(std::span<const PositionRange> positions) {
  llama_memory_t memory = llama_get_memory(context_.get());
  for (const PositionRange& range : positions) {
    if (!llama_memory_seq_rm(memory, kSequence, static_cast<llama_pos>(range.begin), static_cast<llama_pos>(range.end))) {
      throw Error(ErrorCode::kUnsupported, "the cache of " + model_->info().name + " cannot drop single tokens");
    }
  }
}

void KvContext::apply_shifts(std::span<const PositionShift> shifts) {
  llama_memory_t memory = llama_get_memory(context_.get());
  for (const PositionShift& s : shifts) {
    llama_memory_seq_add(memory, kSequence, static_cast<llama_pos>(s.positions.begin),
                         static_cast<llama_pos>(s.positions.end), static_cast<llama_pos>(s.delta));
  }
}

void KvContext::shift(std::span<const PositionShift> shifts) {
  apply_shifts(shifts);
  pending_shifts_.insert(pending_shifts_.end(), shifts.begin(), shifts.end());
}

}  // namespace kvevict
