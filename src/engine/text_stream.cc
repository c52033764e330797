#include "engine/text_stream.h"

#include <algorithm>

#include "engine/llama_handles.h"

namespace kvevict {
namespace {

/// Bytes of the character that `lead` begins; 1 for a byte that begins none.
std::size_t character_bytes(unsigned char lead) {
  if (lead >= 0xF0 && lead < 0xF8) return 4;
  if (lead >= 0xE0) return lead < 0xF0 ? 3 : 1;
  return lead >= 0xC0 ? 2 : 1;
}

/// How many bytes at the end of `text` begin a character without ending it.
std::size_t unfinished_bytes(const std::string& text) {
  for (std::size_t n = 1; n <= std::min<std::size_t>(3, text.size()); ++n) {
    const auto byte = static_cast<unsigned char>(text[text.size() - n]);
    if ((byte & 0xC0) == 0x80) continue;
    return character_bytes(byte) > n ? n : 0;
  }
  return 0;
}

std::string piece_of(const Model& model, Token token) {
  const llama_vocab* vocab = llama_model_get_vocab(model.handle());
  if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) return {};
  std::string piece(32, '\0');
  std::int32_t n = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    n = llama_token_to_piece(vocab, token, piece.data(), static_cast<std::int32_t>(piece.size()), 0, false);
    if (n >= 0) break;
    piece.resize(static_cast<std::size_t>(-static_cast<std::int64_t>(n)));
  }
  piece.resize(static_cast<std::size_t>(std::max(n, 0)));
  return piece;
}

}  // namespace

std::string TextStream::add(Token token) {
  pending_ += piece_of(*model_, token);
  const std::size_t n_whole = pending_.size() - unfinished_bytes(pending_);
  std::string text = pending_.substr(0, n_whole);
  pending_.erase(0, n_whole);
  return text;
}

}  // namespace kvevict
