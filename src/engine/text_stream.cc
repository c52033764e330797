#include "engine/text_stream.h"

#include <algorithm>

#include "engine/token_piece.h"

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

}  // namespace

std::string TextStream::add(Token token) {
  pending_ += token_piece(*model_, token, std::ranges::find(shown_, token) != shown_.end());
  const std::size_t n_whole = pending_.size() - unfinished_bytes(pending_);
  std::string text = pending_.substr(0, n_whole);
  pending_.erase(0, n_whole);
  return text;
}

}  // namespace kvevict
