#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// What is known about a loaded model. Sizes in bytes.
struct ModelInfo {
  std::string name;             ///< general.name of the file; its stem if that is empty or a training label.
  std::string architecture;     ///< "llama", "qwen2", …
  std::string description;      ///< llama.cpp's one-line description: size and quantisation.
  std::int64_t file_bytes = 0;  ///< Of all parts.
  std::int64_t weight_bytes = 0;
  std::int64_t n_parameters = 0;
  int n_layers = 0;
  /// Layers that hold K and V, ascending. Layers without keep a state of fixed size (hybrid and recurrent
  /// models), use another layer's, or hold nothing.
  std::vector<int> cache_layers;
  bool has_state = false;            ///< Some layers keep a state: such a session cannot go back to a token.
  std::string reason_not_evictable;  ///< Why there is nothing to evict by position; empty if there is.
  int n_window = 0;                  ///< Tokens that layers with a sliding window see; 0: no such layer.
  std::vector<int> window_layers{};  ///< Of `cache_layers`, those with a sliding window.
  [[nodiscard]] int n_cache_layers() const { return static_cast<int>(cache_layers.size()); }
  int n_context_trained = 0;  ///< Tokens.
  int n_vocab = 0;
  int n_gpu_layers = 0;  ///< Layers offloaded; -1 if there is no device to offload to.
  /// Whether packed and automatic positions are possible: one rotary position a token, no sliding window.
  bool can_shift_positions = false;
  std::string reason_not_shiftable;  ///< Why they are not; empty if they are.
  /// Attention goes by the distance of cells (ALiBi): with positions that are not packed, all layers hold the
  /// same tokens.
  bool has_distances = false;
  bool has_chat_template = false;
};

}  // namespace kvevict
