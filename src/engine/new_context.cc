#include "engine/new_context.h"

#include <algorithm>
#include <string>

#include "engine/ggml_types.h"
#include "engine/kv_size.h"
#include "engine/llama_log.h"
#include "engine/model_traits.h"
#include "engine/thread_count.h"
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

}  // namespace

bool is_cancelled(void* cancel) {
  return static_cast<const std::atomic<bool>*>(cancel)->load(std::memory_order_relaxed);
}

void require_shifts(const Model& model, llama_context* context) {
  if (moves_by_rows(model.handle()) || llama_memory_can_shift(llama_get_memory(context))) return;
  throw Error(ErrorCode::kUnsupported,
              "the positions of " + model.info().name + " cannot be shifted: use absolute positions with it");
}

LlamaContextHandle make_llama_context(const Model& model, const SessionOptions& options, std::int64_t n_cells,
                                      int n_outputs, AttentionScores* scores, int n_streams) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(n_cells * std::max(1, n_streams));
  params.n_batch = static_cast<std::uint32_t>(options.n_batch);
  params.n_ubatch = static_cast<std::uint32_t>(options.n_ubatch);
  params.n_seq_max = static_cast<std::uint32_t>(n_streams > 0 ? n_streams : options.n_sequences);
  params.kv_unified = n_streams == 0 && options.n_sequences > 1;  // forks share cells
  // Logits are n_vocab floats for each token: room for a whole batch would often outweigh the cache.
  params.n_outputs_max = static_cast<std::uint32_t>(n_outputs);
  const ThreadCount threads(options);
  params.n_threads = threads.n_decode();
  params.n_threads_batch = threads.n_batch();
  params.flash_attn_type = to_llama(options.flash_attention);
  params.type_k = to_ggml(options.type_k);
  params.type_v = to_ggml(options.type_v);
  params.swa_full = !holds_windows(model, options);
  params.no_perf = true;
  if (options.cancel != nullptr && !model.info().has_state) {  // a state that was half changed is lost
    params.abort_callback = is_cancelled;
    params.abort_callback_data = const_cast<std::atomic<bool>*>(options.cancel);
  }
  if (scores != nullptr) {
    params.cb_eval = AttentionScores::on_tensor;
    params.cb_eval_user_data = scores;
  }
  const LlamaLogCapture log;  // llama.cpp returns a null pointer and says why in its log alone
  LlamaContextHandle context(llama_init_from_model(model.handle(), params));
  if (!context) {
    const std::int64_t bytes = kv_bytes_of(model, options, n_cells) * std::max(1, n_streams);
    const bool is_memory = log.text().find("alloc") != std::string::npos;
    throw Error(is_memory ? ErrorCode::kOutOfMemory : ErrorCode::kEngine,
                "llama.cpp cannot make a context of " + std::to_string(params.n_ctx) + " cells (" +
                    std::to_string(bytes >> 20) + " MiB of K and V): " + log.reason());
  }
  if (options.positions.value_or(PositionMode::kAbsolute) != PositionMode::kAbsolute)
    require_shifts(model, context.get());
  return context;
}

}  // namespace kvevict
