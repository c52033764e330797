#include "support/plain_llama.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "base/processors.h"
#include "engine/ggml_types.h"

namespace kvevict::test {

PlainLlama::PlainLlama(const Model& model, const SessionOptions& options, std::uint32_t n_cells,
                       ggml_backend_sched_eval_callback on_tensor, void* data)
    : n_vocab_(static_cast<std::size_t>(model.info().n_vocab)) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = n_cells;
  params.n_batch = static_cast<std::uint32_t>(options.n_batch);
  params.n_ubatch = static_cast<std::uint32_t>(options.n_ubatch);
  params.n_threads = params.n_threads_batch = options.n_threads > 0 ? options.n_threads : usable_processors();
  params.flash_attn_type = options.flash_attention == FlashAttention::kOff  ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                           : options.flash_attention == FlashAttention::kOn ? LLAMA_FLASH_ATTN_TYPE_ENABLED
                                                                            : LLAMA_FLASH_ATTN_TYPE_AUTO;
  params.type_k = to_ggml(options.type_k);
  params.type_v = to_ggml(options.type_v);
  params.cb_eval = on_tensor;
  params.cb_eval_user_data = data;
  context_.reset(llama_init_from_model(model.handle(), params));
  if (!context_) throw std::runtime_error("llama.cpp made no context");
}

void PlainLlama::decode(std::span<const Token> tokens, std::int64_t first_position) {
  const std::size_t n_batch = llama_n_batch(context_.get());
  for (std::size_t from = 0; from < tokens.size(); from += n_batch) {
    const auto part = tokens.subspan(from, std::min(n_batch, tokens.size() - from));
    llama_batch batch = llama_batch_init(static_cast<std::int32_t>(part.size()), 0, 1);
    batch.n_tokens = static_cast<std::int32_t>(part.size());
    for (std::size_t i = 0; i < part.size(); ++i) {
      batch.token[i] = part[i];
      batch.pos[i] = static_cast<llama_pos>(first_position + static_cast<std::int64_t>(from + i));
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = i + 1 == part.size() ? 1 : 0;
    }
    const int code = llama_decode(context_.get(), batch);
    llama_batch_free(batch);
    if (code != 0) throw std::runtime_error("llama_decode: " + std::to_string(code));
  }
}

bool PlainLlama::remove(std::int64_t begin, std::int64_t end) {
  return llama_memory_seq_rm(llama_get_memory(context_.get()), 0, static_cast<llama_pos>(begin),
                             static_cast<llama_pos>(end));
}

void PlainLlama::shift(std::int64_t begin, std::int64_t end, std::int64_t delta) {
  llama_memory_seq_add(llama_get_memory(context_.get()), 0, static_cast<llama_pos>(begin),
                       static_cast<llama_pos>(end), static_cast<llama_pos>(delta));
}

bool PlainLlama::can_shift() const {
  return llama_memory_can_shift(llama_get_memory(context_.get()));
}

std::span<const float> PlainLlama::logits() const {
  return {llama_get_logits_ith(context_.get(), -1), n_vocab_};
}

Token PlainLlama::greedy() const {
  const auto row = logits();
  return static_cast<Token>(std::max_element(row.begin(), row.end()) - row.begin());
}

std::size_t PlainLlama::state_bytes() const {
  return llama_state_seq_get_size(context_.get(), 0);
}

std::vector<std::uint8_t> PlainLlama::state(llama_seq_id sequence) const {
  std::vector<std::uint8_t> bytes(llama_state_seq_get_size(context_.get(), sequence));
  llama_state_seq_get_data(context_.get(), bytes.data(), bytes.size(), sequence);
  return bytes;
}

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t n_total = 0;
  std::int64_t n_resident = 0;
  file >> n_total >> n_resident;
  return n_resident * sysconf(_SC_PAGESIZE);
}

}  // namespace kvevict::test
