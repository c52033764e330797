#include "engine/token_piece.h"

#include <algorithm>

#include "engine/llama_handles.h"

namespace kvevict {

std::string token_piece(const Model& model, Token token, bool shows_control) {
  const llama_vocab* vocab = llama_model_get_vocab(model.handle());
  if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) return {};  // llama.cpp would end the process
  std::string piece(32, '\0');
  std::int32_t n = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    n = llama_token_to_piece(vocab, token, piece.data(), static_cast<std::int32_t>(piece.size()), 0,
                             shows_control);
    if (n >= 0) break;
    piece.resize(static_cast<std::size_t>(-static_cast<std::int64_t>(n)));
  }
  piece.resize(static_cast<std::size_t>(std::max(n, 0)));
  return piece;
}

}  // namespace kvevict
