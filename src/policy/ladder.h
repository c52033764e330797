#pragma once

#include <cstdint>
#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// Most tokens that may be new to one plan: memory and time of a pass grow with them (16.8 million: a second
/// and 256 MiB for each phase).
inline constexpr std::int64_t kMaxLadderTokens = std::int64_t{1} << 24;

/// How a ladder over some layers thins: of each group of `group` neighbouring rows a layer keeps `kept`
/// neighbouring ones, beginning at its phase.
struct LadderShape {
  std::int64_t n_layers = 0;
  std::int64_t group = 0;  ///< G = 1 + ceil((n_layers - span) / (span - overlap)).
  std::int64_t kept = 0;   ///< A = min(ceil(span / (span - overlap)), G).

  /// Rows that a layer saves for each group, G - A >= 1.
  [[nodiscard]] std::int64_t saved() const noexcept { return group - kept; }
  /// Different sets of rows: layers of the same phase hold the same tokens. At most `n_layers`.
  [[nodiscard]] std::int64_t n_phases() const noexcept { return saved() + 1; }
  [[nodiscard]] std::int64_t phase_of(std::int64_t layer) const noexcept { return layer % n_phases(); }
};

/// What the ladder has kept: the plan for `n_tokens_seen` tokens, and the row (a kept token's place among
/// those that its layer keeps) at which the next thinning begins.
class LadderRows final : public PolicyMemory {
 public:
  [[nodiscard]] std::unique_ptr<PolicyMemory> clone() const override {
    return std::make_unique<LadderRows>(*this);
  }
  void trim(std::int64_t n_tokens, const KeepPlan& held) override;
  [[nodiscard]] std::string save() const override;

  KeepPlan kept;
  std::int64_t n_tokens_seen = 0;
  std::int64_t cursor = -1;  ///< -1: at the end of the sink.
};

/// The shape for `n_layers` layers; `span` 0: half of them, rounded up, which can always compress.
/// Throws `Error(kInvalidArgument)` for fewer than 2 layers, an overlap that is not below the span, and if
/// nothing would be saved.
[[nodiscard]] LadderShape ladder_shape(std::int64_t n_layers, std::int64_t span, std::int64_t overlap);

/// `ladder`: sink, recent window, and between them a different set of tokens in each layer, equally many in
/// all. Together the layers hold far more tokens than any of them.
///
///     row      0 1 2 3 4 5 6 7 8 9        (6 layers, span 2, overlap 1: G 5, A 2, 4 phases; sink 0)
///     layer 0  x x . . . x x . . .
///     layer 1  . x x . . . x x . .
///     layer 2  . . x x . . . x x .
///     layer 3  . . . x x . . . x x
///     layer 4  x x . . . x x . . .
///     layer 5  . x x . . . x x . .
///
/// A row is a kept token's place among those that its layer keeps; all layers have the same number of rows n.
/// With sink S, recent R, middle budget M and N = S + R + M: while n > N, groups are thinned from the row
/// `cursor` on (first S). If cursor + G > n - R, the cursor returns to S. One pass thins
/// min(ceil((n - N) / (G - A)), groups that fit in front of the last R rows) groups: layer l keeps the rows
/// cursor + p … cursor + p + A - 1 of each, p = l mod (G - A + 1); then the cursor moves on by A for each
/// group. Older rows are thinned again and again, the newest R never. M >= G is needed, so that there always
/// is a group to thin.
///
/// Bound: N tokens in every layer, however long the stream. Nested over time. The same rule under both
/// schedules; the plan depends on the plans before it. After the sequence was cut to fewer tokens, plans keep
/// what is left: cut behind the beginning of the recent window, layers may hold different numbers of tokens,
/// and the ones with more drop their oldest tokens behind the sink.
///
/// Source: Shi et al. 2025, "LaCache: Ladder-Shaped KV Caching for Efficient Long-Context Modeling of Large
/// Language Models" (arXiv 2507.14204), sections 3.2 and 3.3; GATECH-EIC/LaCache at 0f27c33,
/// LongBench/lacache/kv_cache.py. G, A, the phases and the cursor are the code's.
/// Deviations, and why:
/// - The paper's text calls the span the number of *consecutive* layers that keep a token, and the overlap
///   the
///   tokens that a layer keeps. Its code spreads a token's layers by l mod (G - A + 1) instead. Ours does
///   what the code does, since the paper's results are the code's.
/// - The code enlarges its cache by floor((G - A) / 2) once, to make up for rows that a pass saves beyond
///   what is needed. Ours keeps the budget that it was given: budgets are what strategies are compared at.
/// - The code protects the n_layers newest rows and the sink; ours R of one's choice, at least 1: the same
///   recent window as the other strategies, so that they can be compared. R = n_layers is theirs.
/// - If one pass is not enough, the code begins again at the sink with a coarser stride, in groups of
///   G + (k - 1)(G - 1) rows for k further rounds, and keeps rows k apart. Ours repeats the plain pass: one
///   rule, and every layer holds equally many rows after each pass.
/// - The code counts the groups that fit by the rows that they leave, ours by the rows that they take: a
///   group is thinned only if all of it lies in front of the recent window.
/// - Sinks are 4 in the code for perplexity, 64 for passkeys, 128 for LongBench, and budgets are shares of
///   the
///   prompt; ours are `sink_tokens` and token counts.
/// - Positions are whatever the session's are; the code numbers them within the cache (packed).
[[nodiscard]] std::unique_ptr<const Policy> make_ladder(const StrategySpec& spec);

}  // namespace kvevict
