#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "engine/cpu_backend.h"

namespace kvevict {

/// Whether the processor can read a tensor where it lies.
[[nodiscard]] bool is_in_host_memory(const ggml_tensor& tensor);

/// The layer whose flash attention `tensor` computes, as llama.cpp counts layers; nothing for any other
/// tensor.
[[nodiscard]] std::optional<int> flash_attention_layer(const ggml_tensor& tensor);

/// Computes what flash attention never writes down: the probabilities of a few queries, from the queries,
/// keys and mask of its tensor, with ggml's own product and softmax on the CPU. Thread safety: one thread at
/// a time.
class FlashAttentionReader {
 public:
  explicit FlashAttentionReader(int n_threads) : backend_(make_cpu_backend(n_threads)) {}

  /// Probabilities of the last `n_queries` queries of `attention`, `[n_heads][n_queries][n_cells]`, with the
  /// sizes in that order. Valid until the next call. Errors: kUnsupported for several streams; kOutOfMemory,
  /// kEngine. REQUIRES: a tensor of which `flash_attention_layer` tells the layer, computed, its sources not
  /// yet overwritten.
  struct Probabilities {
    std::span<const float> values;
    std::size_t n_cells = 0, n_queries = 0, n_heads = 0;
  };
  [[nodiscard]] Probabilities last_queries(const ggml_tensor& attention, std::size_t n_queries);

 private:
  GgmlBackendHandle backend_;
  std::vector<float> values_;
};

}  // namespace kvevict
