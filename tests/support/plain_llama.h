#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/llama_handles.h"
#include "kvevict/session.h"

namespace kvevict::test {

/// llama.cpp through its own calls, with none of our code between: the reference of the tests.
class PlainLlama {
 public:
  /// `on_tensor`: llama.cpp's evaluation callback, with its data.
  PlainLlama(const Model& model, const SessionOptions& options, std::uint32_t n_cells,
             ggml_backend_sched_eval_callback on_tensor = nullptr, void* data = nullptr);

  void decode(std::span<const Token> tokens, std::int64_t first_position);
  /// Whether llama.cpp took the tokens away: a recurrent state keeps its newest one.
  bool remove(std::int64_t begin, std::int64_t end);
  void shift(std::int64_t begin, std::int64_t end, std::int64_t delta);
  [[nodiscard]] bool can_shift() const;
  [[nodiscard]] Token greedy() const;
  [[nodiscard]] std::span<const float> logits() const;
  [[nodiscard]] std::size_t state_bytes() const;
  /// The session state of `sequence`.
  [[nodiscard]] std::vector<std::uint8_t> state(llama_seq_id sequence) const;

 private:
  LlamaContextHandle context_;
  std::size_t n_vocab_;
};

/// Resident memory of this process.
[[nodiscard]] std::int64_t resident_bytes();

}  // namespace kvevict::test
