#pragma once

#include <span>
#include <vector>

#include "engine/kv_context.h"

namespace kvevict {

/// A llama_batch with the arrays that it borrows.
class Batch {
 public:
  explicit Batch(std::span<const BatchToken> tokens)
      : n_sequences_(tokens.size(), 1), sequences_(tokens.size()) {
    for (const BatchToken& token : tokens) {
      tokens_.push_back(token.token);
      positions_.push_back(static_cast<llama_pos>(token.position));
      sequence_ids_.push_back(token.sequence);
      wants_logits_.push_back(token.wants_logits ? 1 : 0);
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) sequences_[i] = &sequence_ids_[i];
  }

  /// Valid while the object lives.
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
  std::vector<llama_seq_id> sequence_ids_;
  std::vector<llama_seq_id*> sequences_;
  std::vector<std::int8_t> wants_logits_;
};

}  // namespace kvevict
