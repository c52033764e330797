#pragma once

#include <ggml-backend.h>
#include <ggml.h>

#include <cstdint>
#include <memory>
#include <span>

#include "engine/llama_handles.h"

namespace kvevict {

/// Turns cached keys from one position to another with ggml's own rotary embedding, as llama.cpp's
/// K-shift does, but by a number of positions for each row and layer. Thread safety: one thread.
class KeyTurner {
 public:
  /// For keys of `type` of `model`. Errors: kUnsupported for element types that ggml cannot rotate and
  /// models whose rotation has scaling factors of its own.
  KeyTurner(const llama_model* model, ggml_type type);

  /// Rotates row k of `rows`, `[turns.size(), kv_heads, head_dim]`, by `turns[k]` positions, in place.
  void turn(std::span<std::uint8_t> rows, std::span<const std::int32_t> turns) const;

 private:
  struct FreeBackend {
    void operator()(ggml_backend* backend) const noexcept { ggml_backend_free(backend); }
  };

  std::unique_ptr<ggml_backend, FreeBackend> backend_;
  ggml_type type_;
  int rope_mode_ = 0;
  int head_dim_ = 0;
  int n_rotated_ = 0;  // of a head's dimensions
  float freq_base_ = 10000;
  float freq_scale_ = 1;
};

}  // namespace kvevict
