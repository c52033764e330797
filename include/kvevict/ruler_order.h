#pragma once

#include <cstdint>

#include "kvevict/keep_set.h"
#include "kvevict/simple_evict.h"

namespace kvevict {

/// The tokens to keep of a stream of `total_len` tokens whose cache never held more than its
/// budget: sink, recent window and, between them, blocks in the order of a ruler's marks.
///
/// With the names of `build_simple_keep_token_idx`: [0, s) and [r, L) are kept; M >= r − s keeps
/// all of the middle; else its pieces are numbered 0, 1, 2, … from the first, the value of piece i
/// is the number of trailing zero bits of i (piece 0: highest), and the ⌊M / B⌋ pieces of highest
/// value are kept, the newest first among equals. M < B keeps no middle then.
///
///     piece   0  1  2  3  4  5  6  7  8  9     (⌊M / B⌋ = 4)
///     value   ∞  0  1  0  2  0  1  0  3  0
///     kept    x           x     x     x        0, 8, 4, then 6 (newer than 2)
///
/// A pure function of L and nested: what is kept at L was kept at every smaller L, or is newer.
/// The kept blocks cover the whole history at a spacing that doubles as it grows.
/// Never more than s + M + R tokens. L = 0 gives the empty set. O(⌊M / B⌋ log).
/// Throws `Error(kInvalidArgument)` as `validate` and `require_ruler_order` do, and for a negative
/// `total_len`.
[[nodiscard]] KeepSet build_ruler_keep_token_idx(std::int64_t total_len, std::int64_t block_n,
                                                 const SimpleEvictConfig& config);

/// Throws `Error(kInvalidArgument)` for a stride, which has no bound in a stream.
void require_ruler_order(const SimpleEvictConfig& config);

/// Most middle tokens that the ruler order keeps once the middle has outgrown its budget:
/// ⌊M / B⌋ · B. Where it is 0 although M > 0, a command says so.
[[nodiscard]] std::int64_t ruler_middle_tokens(std::int64_t block_n,
                                               const SimpleEvictConfig& config) noexcept;

}  // namespace kvevict
