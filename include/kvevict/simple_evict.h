#pragma once

#include <cstdint>
#include <string>

#include "kvevict/export.h"
#include "kvevict/keep_set.h"

namespace KVEVICT_PUBLIC kvevict {

/// Tokens per block of the absolute grid `[b · block_n, (b + 1) · block_n)`.
inline constexpr std::int64_t kDefaultBlockTokens = 128;

/// The largest token count that any setting takes: positions are 32-bit integers in the engines.
inline constexpr std::int64_t kMaxTokens = (std::int64_t{1} << 31) - 1;

/// Values of `SimpleEvictConfig::spacing`: where "uniform" takes its blocks from.
inline constexpr std::int64_t kSpacingMidpoints = 0;  ///< The midpoints of k equal parts of the middle.
inline constexpr std::int64_t kSpacingEnds =
    1;  ///< First and last whole block, evenly between: as the demo's code.

/// Which tokens to keep by position. All counts are tokens per layer.
///
///     0          s                                        r            L
///     | sink ... | middle: blocks of the absolute grid ... | recent ... |
///       always     none, or evenly spread blocks             always
struct SimpleEvictConfig {
  std::int64_t sink_tokens = 256;        ///< First tokens, always kept; >= 0.
  std::int64_t recent_tokens = 512;      ///< Last tokens, always kept; >= 1.
  std::string middle_strategy = "none";  ///< "none" or "uniform".
  std::int64_t middle_budget_tokens =
      0;                            ///< Most middle tokens kept ("uniform", when the stride is 0); >= 0.
  std::int64_t uniform_stride = 0;  ///< > 0: keep every n-th middle block, whatever the budget; >= 0.
  std::int64_t spacing = kSpacingMidpoints;  ///< "uniform": one of the values above.

  friend bool operator==(const SimpleEvictConfig&, const SimpleEvictConfig&) = default;
};

/// Throws `Error(kInvalidArgument)` that names the first field which is out of its range.
void validate(const SimpleEvictConfig& config, std::int64_t block_n);

/// The tokens to keep of a cache that still holds all `total_len` tokens (one-shot eviction).
///
/// With L = total_len, S = sink_tokens, R = recent_tokens, B = block_n, M = middle_budget_tokens:
/// s = min(S, L), r = max(s, L − R); [0, s) and [r, L) are kept. The middle [s, r) is cut by the
/// absolute grid into pieces p_0 … p_{m−1} (the first and the last may be shorter than B).
///   "none": none of them.
///   "uniform", stride t > 0: p_0, p_t, p_2t, … (the budget is ignored).
///   "uniform", budget M: nothing for M = 0; all for M >= r − s; else k = min(m, ⌊M / B⌋) pieces,
///   those with the numbers ⌊(2i + 1) · m / (2k)⌋, i = 0 … k − 1; if ⌊M / B⌋ = 0, the first
///   M tokens of piece ⌊m / 2⌋. Never more than M tokens.
///   "uniform" with the spacing `kSpacingEnds`: only the n whole blocks ⌈S / B⌉ … ⌊(L − R) / B⌋ − 1 of the
///   middle count, and pieces of blocks are never kept. Stride t: every t-th from the first; budget M > 0:
///   k = max(1, ⌊M / B⌋) of them, all for k >= n, else those with the numbers i · (n − 1) / (k − 1) in
///   single precision, cut off, i = 0 … k − 1; k = 1: the first. At most max(M, B) tokens.
///
/// Worked case: L 16, B 2, S 2, R 4, M 4: pieces [2,4) … [10,12), m 5, k 2, pieces 1 and 3:
/// kept [0,2) [4,6) [8,10) [12,16).
///
/// L = 0 gives the empty set. O(pieces kept). Throws `Error(kInvalidArgument)` as `validate` does,
/// and for a negative `total_len`.
///
/// Source: the strategies "sink + recent" and "sink + recent + uniform middle" of the Python demo
/// "Simple KV cache eviction strategies", after LaCache. The choice of `kSpacingMidpoints` is ours: the
/// demo's own example does not agree with its own count; that of `kSpacingEnds` is its published code's
/// (docs/strategies.md).
[[nodiscard]] KeepSet build_simple_keep_token_idx(std::int64_t total_len, std::int64_t block_n,
                                                  const SimpleEvictConfig& config);

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

/// Throws `Error(kInvalidArgument)` for a stride, which has no bound in a stream, and for `kSpacingEnds`,
/// whose blocks all move as a stream grows.
void require_ruler_order(const SimpleEvictConfig& config);

/// Most middle tokens that the ruler order keeps once the middle has outgrown its budget:
/// ⌊M / B⌋ · B. If it is 0 although M > 0, a command says so.
[[nodiscard]] std::int64_t ruler_middle_tokens(std::int64_t block_n,
                                               const SimpleEvictConfig& config) noexcept;

}  // namespace kvevict
