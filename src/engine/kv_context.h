#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/cache_map.h"
#include "engine/llama_handles.h"
#include "kvevict/session.h"

namespace kvevict {

/// A llama.cpp context and its cells for one sequence: writes, removes, shifts and moves them, and
/// decides nothing. Positions are checked by the caller's CacheMap.
class KvContext {
 public:
  /// Makes a context of `n_cells` cells, padded up to llama.cpp's multiple of 256.
  /// Errors: kUnsupported, kOutOfMemory, kEngine with llama.cpp's reason.
  KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells);

  /// Moves all held cells into a context of `n_cells` cells (padded) and frees the old one. On an
  /// error the old context is there again, whole. Cost: two copies of the held rows.
  void resize(std::int64_t n_cells);

  /// Decodes `tokens` at `first_position` and the following, and keeps the logits of the last one
  /// if `wants_logits`. Errors: kCancelled, kEngine; the tokens of this call are then not written.
  void decode(std::span<const Token> tokens, std::int64_t first_position, bool wants_logits);

  void remove(std::span<const PositionRange> positions);

  /// Shifts positions; llama.cpp turns the keys when it decodes next.
  void shift(std::span<const PositionShift> shifts);

  [[nodiscard]] std::span<const float> logits() const noexcept { return logits_; }
  [[nodiscard]] std::int64_t n_cells() const noexcept { return n_cells_; }
  [[nodiscard]] int n_batch() const noexcept { return n_batch_; }
  [[nodiscard]] std::int64_t kv_bytes() const noexcept;
  [[nodiscard]] std::int64_t kv_bytes_peak() const noexcept { return kv_bytes_peak_; }
  [[nodiscard]] std::int64_t n_decode_calls() const noexcept { return n_decode_calls_; }

  /// Cells that `n_tokens` tokens get: a multiple of 256.
  [[nodiscard]] static std::int64_t padded(std::int64_t n_tokens) noexcept;

 private:
  [[nodiscard]] LlamaContextHandle make_context(std::int64_t n_cells) const;
  void install(LlamaContextHandle context, std::int64_t n_cells);
  void restore(std::span<const std::uint8_t> rows);
  void apply_shifts(std::span<const PositionShift> shifts);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  LlamaContextHandle context_;
  std::int64_t n_cells_ = 0;
  int n_batch_ = 0;
  std::int64_t kv_bytes_peak_ = 0;
  std::int64_t n_decode_calls_ = 0;
  std::vector<float> logits_;
  std::vector<PositionShift> pending_shifts_;  // positions are shifted, keys not yet turned
};

}  // namespace kvevict
