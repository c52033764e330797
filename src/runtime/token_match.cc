#include "runtime/token_match.h"

#include <algorithm>
#include <string>

#include "engine/token_piece.h"

namespace kvevict {
namespace {

/// The next place behind `from`, where the tokens differ, at which both lists have said the same and a token
/// ends in each; `from` if there is none.
TokenMatch next_seam(const Model& model, std::span<const Token> seen, std::span<const Token> given,
                     TokenMatch from) {
  TokenMatch at = from;
  std::string ahead;  // what the one list has said more than the other
  bool is_seen_ahead = false;
  do {
    std::size_t& i = is_seen_ahead ? at.n_given : at.n_seen;
    const std::span<const Token> tokens = is_seen_ahead ? given : seen;
    if (i == tokens.size()) return from;
    const std::string piece = token_piece(model, tokens[i++]);
    const std::size_t n = std::min(piece.size(), ahead.size());
    if (piece.empty() || piece.compare(0, n, ahead, 0, n) != 0) return from;
    if (piece.size() > n) is_seen_ahead = !is_seen_ahead;
    ahead = (piece.size() > n ? piece : ahead).substr(n);
  } while (!ahead.empty());
  return at;
}

}  // namespace

TokenMatch match_tokens(const Model& model, std::span<const Token> seen, std::span<const Token> given) {
  TokenMatch match;
  for (;;) {
    while (match.n_seen < seen.size() && match.n_given < given.size() &&
           seen[match.n_seen] == given[match.n_given]) {
      ++match.n_seen;
      ++match.n_given;
    }
    const TokenMatch next = next_seam(model, seen, given, match);
    if (next == match) return match;
    match = next;
  }
}

}  // namespace kvevict
