#pragma once

#include <ggml.h>

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "engine/cpu_backend.h"
#include "engine/llama_handles.h"

namespace kvevict {

/// Rotates cached keys from one position to another with ggml's own rotary embedding, as llama.cpp's K-shift
/// does, but by a number of positions for each row and layer, and for models whose positions llama.cpp cannot
/// shift (M-RoPE). Has a back end of its own: two threads may use
/// two rotators at the same time, but not one. A copy has another back end.
class KeyRotator {
 public:
  /// For keys of `type` of `model`. Errors: kUnsupported for element types that ggml cannot rotate.
  /// `n_threads`: 0: the processors that this process may use.
  /// `factors`: by which the model divides the frequencies (Llama 3's rope_freqs), one for two dimensions;
  /// may be empty.
  KeyRotator(const llama_model* model, ggml_type type, int n_threads, std::vector<float> factors = {});
  KeyRotator(const KeyRotator& other);
  KeyRotator& operator=(const KeyRotator&) = delete;

  /// Rotates row k of `rows`, `[rotations.size(), kv_heads, head_dim]` of `layer`, by `rotations[k]`
  /// positions, in place; leaves the rows of a layer without rotation as they are.
  void rotate(std::size_t layer, std::span<std::uint8_t> rows, std::span<const std::int32_t> rotations) const;

  /// The keys of `layer`, by its place among those with a cache, are not rotated in this model.
  void leave(std::size_t layer) { left_.insert(layer); }

  /// Whether the model's keys are rotated at all / those of `layer` are.
  [[nodiscard]] bool rotates_any() const noexcept { return !rotates_none_; }
  [[nodiscard]] bool rotates(std::size_t layer) const { return !rotates_none_ && !left_.contains(layer); }

  /// The cosine and sine of each pair of a head's dimensions for some rotations, as ggml computes them.
  struct Turns {
    std::size_t n_pairs = 0;   ///< Of a row.
    std::size_t n_before = 0;  ///< Dimensions of a head in front of the rotated ones.
    bool is_neox = false;      ///< A pair is (i, i + n_pairs) of the rotated dimensions; else (2i, 2i + 1).
    std::vector<float> cosines, sines;  ///< `[rotations, n_pairs]`
  };

  /// What `rotate` would turn keys by: computed once for all layers that it rotates, since sines are what it
  /// costs. REQUIRES: f32, and `rotates_any`.
  [[nodiscard]] Turns turns(std::span<const std::int32_t> rotations) const;

 private:
  void rotate_rows(std::span<std::uint8_t> rows, std::span<const std::int32_t> rotations) const;

  GgmlBackendHandle backend_;
  ggml_type type_;
  int n_threads_;
  int rope_mode_ = 0;
  std::vector<float> factors_;  // of the frequencies; empty: 1
  bool rotates_none_ = false;   // positions are elsewhere than in the keys of this model
  std::set<std::size_t> left_;  // layers without rotation
  int head_dim_ = 0;
  int n_rotated_ = 0;  // of a head's dimensions …
  int n_before_ = 0;   // … and those before them that no position rotates
  float freq_base_ = 10000;
  float freq_scale_ = 1;
};

}  // namespace kvevict
